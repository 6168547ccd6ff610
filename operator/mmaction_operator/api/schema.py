"""From a pydantic model to the schema that an API server accepts.

An API server takes a subset of JSON Schema, the structural schemas: a type everywhere, no references, no unions, and
whatever it does not know is an error. ``described`` gives a model's schema with references inlined and everything kept
that helps to explain a field; ``structural`` keeps what an API server knows, and refuses what it would refuse.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

# In the order in which a reader of the manifest wants them.
KEPT = (
    *("description", "type", "format", "nullable", "enum", "default"),
    *("minimum", "maximum", "minLength", "maxLength", "pattern", "minItems", "maxItems", "maxProperties"),
    *("x-kubernetes-preserve-unknown-fields", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"),
    *("required", "x-kubernetes-validations", "additionalProperties", "items", "properties"),
)
DROPPED = frozenset(["title", "examples", "x-accepts"])


@cache
def described(model: type[BaseModel]) -> Schema:
    """The model's JSON schema as one tree: references inlined, ``T | None`` as T without a default. Not to be changed.

    Raises:
        TypeError: a field is a union of two types, which a structural schema cannot express.
    """
    schema = model.model_json_schema(by_alias=True)
    return _inlined(schema, schema.pop("$defs", {}))


def _inlined(node: Schema, definitions: dict[str, Schema]) -> Schema:
    beside = {key: value for key, value in node.items() if key not in ("$ref", "anyOf")}
    if "$ref" in node:
        return _inlined(definitions[node["$ref"].rpartition("/")[2]] | beside, definitions)
    if "anyOf" in node:
        members = [member for member in node["anyOf"] if member.get("type") != "null"]
        if len(members) != 1:
            raise TypeError(f"{node.get('title')}: a structural schema has no unions: {members}")
        return _inlined(members[0] | beside, definitions)
    if beside.get("default", ...) is None:
        del beside["default"]
    if "description" in beside:
        beside["description"] = " ".join(beside["description"].split())
    if "properties" in beside:
        beside["properties"] = {name: _inlined(each, definitions) for name, each in beside["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(beside.get(key), dict):
            beside[key] = _inlined(beside[key], definitions)
    if "properties" in beside and "default" in beside:
        beside["default"] = _own_default(beside)
    return beside


def _own_default(node: Schema) -> Schema:
    """The default of an object without what the defaults of its fields say: an API server applies those below it."""
    leaves = {name: field.get("default") for name, field in node["properties"].items()}
    return {name: value for name, value in node["default"].items() if value != leaves[name]}


def structural(node: Schema, where: str = "") -> Schema:
    """What an API server accepts of a described schema.

    Raises:
        TypeError: something has no counterpart in a structural schema, or would be dropped without a word.
    """
    result: Schema = {}
    for key, value in node.items():
        if key == "const":
            result["enum"] = [value]
        elif key == "items":
            result[key] = structural(value, f"{where}[]")
        elif key == "properties":
            result[key] = {name: structural(field, f"{where}.{name}") for name, field in value.items()}
        elif key == "additionalProperties":
            result |= _map_values(value, where)
        elif key in ("minimum", "maximum") and value != int(value):
            raise TypeError(
                f"{where}: an API server compares an integer with {key} {value} cut to {int(value)}; say a rule"
            )
        elif key in KEPT:
            result[key] = deepcopy(value)
        elif key not in DROPPED:
            raise TypeError(f"{where or 'the object'}: an API server has no {key}: {value!r}")
    if "type" not in result and not result.get("x-kubernetes-preserve-unknown-fields"):
        raise TypeError(f"{where or 'the object'}: an API server asks for a type")
    return {key: result[key] for key in KEPT if key in result}


def _map_values(values: Schema | bool, where: str) -> Schema:
    """``additionalProperties``: the schema of a map's values.

    False goes without saying: what is not declared is dropped, or refused where the client asks for that.
    """
    if values is True:
        raise TypeError(f"{where}: an API server drops what is nested in values without a schema")
    return {"additionalProperties": structural(values, f"{where}[*]")} if values else {}
