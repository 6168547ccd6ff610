"""What is wrong with a manifest, said to who wrote it: one line a field, with where, what was found, what is accepted.

The accepted part comes from the field's own schema, so a message cannot disagree with what an API server enforces.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from .fields import RULES_BROKEN
from .schema import Schema
from .words import NOUNS, accepted

Location = tuple[int | str, ...]

LONGEST = 60
"""Characters of a value that a message shows."""


def explain(error: ValidationError, schema: Schema) -> str:
    """Every field that is wrong, a line each; the first line counts them where there are several.

    Args:
        error: what validation found.
        schema: the described schema of the model that was validated.
    """
    problems = error.errors(include_url=False)
    # Of another kind of object every field is wrong, and none is worth a line.
    problems = [problem for problem in problems if problem["loc"] in (("kind",), ("apiVersion",))] or problems
    lines = list(dict.fromkeys(line for problem in problems for line in _lines(problem, schema)))
    return lines[0] if len(lines) == 1 else "\n  ".join([f"{len(lines)} fields are wrong", *lines])


def _lines(problem: ErrorDetails, schema: Schema) -> Iterator[str]:
    where, kind, value = problem["loc"], problem["type"], problem["input"]
    node = _at(schema, where)
    if kind == RULES_BROKEN:
        yield from (f"{_path((*where, rule.field))}: {rule.message}" for rule in problem["ctx"]["broken"])
    elif kind == "extra_forbidden":
        yield f"{_path(where)}: is not a field here; {_meant(schema, where)}"
    elif kind == "missing":
        yield f"{_path(where)}: is required; accepted: {accepted(node)}"
    elif "type" in node:
        yield f"{_path(where)}: found {_shown(value, node)}; accepted: {accepted(node)}{_hint(value, node)}"
    else:
        yield f"{_path(where)}: {problem['msg']}"


def _at(schema: Schema, where: Location) -> Schema:
    """The schema of a field; without a type where nothing is declared."""
    for part in where:
        below = schema.get("items") if isinstance(part, int) else schema.get("properties", {}).get(part)
        values = schema.get("additionalProperties")
        schema = below or (values if isinstance(values, dict) else {})
    return schema


def _path(where: Location) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" if part else "" for part in where)
    return "".join(parts).removeprefix(".") or "manifest"


def _meant(schema: Schema, where: Location) -> str:
    """The field that an unknown name was probably meant to be: of that name elsewhere, or of nearly that name here."""
    siblings = {_plain(name): name for name in _at(schema, where[:-1]).get("properties", {})}
    unknown = _plain(str(where[-1]))
    elsewhere = [path for path in _fields(schema) if _plain(str(path[-1])) == unknown]
    if unknown not in siblings and elsewhere:
        return f"did you mean {_path(elsewhere[0])}?"
    if close := get_close_matches(unknown, siblings, n=1):
        return f"did you mean {siblings[close[0]]}?"
    return f"accepted: {', '.join(siblings.values())}"


def _plain(name: str) -> str:
    """A name without what separates the styles of writing it: batch_size and batchSize are one."""
    return name.replace("_", "").replace("-", "").lower()


def _fields(schema: Schema, where: Location = ()) -> Iterator[Location]:
    """Every field that a user may write."""
    for name, node in schema.get("properties", {}).items():
        if where or name != "status":
            yield (*where, name)
            yield from _fields(node, (*where, name))


def _type_of(value: object) -> str:
    types = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return types.get(type(value), "")


def _shown(value: object, node: Schema) -> str:
    """A value as it stands in the manifest, with its type where that is what is wrong."""
    kind = _type_of(value)
    if kind in ("array", "object"):
        return NOUNS[kind]
    text = json.dumps(value, ensure_ascii=False, default=str)
    text = text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
    if kind in ("", node["type"]):
        return text
    return f"{text} ({'a boolean' if kind == 'boolean' else NOUNS[kind]})"


def _hint(value: object, node: Schema) -> str:
    if value is None and "default" in node:
        return f"; leave it out for the default, {node['default']}"
    if isinstance(value, str) and node["type"] in ("integer", "number") and _is_number(value):
        return "; write it without quotes"
    if isinstance(value, bool | int | float) and node["type"] == "string" and "enum" not in node:
        return "; write it in quotes"
    names: list[Any] = node.get("enum", [])
    if isinstance(value, str) and (close := get_close_matches(value.lower(), [str(name) for name in names], n=1)):
        return f"; did you mean {close[0]}?"
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
