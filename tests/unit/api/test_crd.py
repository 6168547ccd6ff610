"""The CustomResourceDefinition of TrainJob keeps the rules of structural schemas, and says what the models say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest

from mmaction_operator.api import parse
from mmaction_operator.api.crd import crd

Schema = dict[str, Any]
Manifest = Callable[[dict[str, Any]], dict[str, Any]]

TYPES = {"object", "array", "string", "integer", "number", "boolean"}
# The keys of apiextensions/v1 JSONSchemaProps that a structural schema may carry outside of value validation.
KEYS = {
    *("type", "format", "description", "default", "enum", "nullable", "required", "properties", "items"),
    *("additionalProperties", "minimum", "maximum", "minLength", "maxLength", "pattern", "minItems", "maxItems"),
    *("maxProperties", "minProperties", "x-kubernetes-validations", "x-kubernetes-preserve-unknown-fields"),
    *("x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"),
}
PYTHON: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


@pytest.fixture(scope="module")
def version() -> dict[str, Any]:
    (only,) = crd()["spec"]["versions"]
    version: dict[str, Any] = only
    return version


@pytest.fixture(scope="module")
def schema(version: dict[str, Any]) -> Schema:
    schema: Schema = version["schema"]["openAPIV3Schema"]
    return schema


def nodes(node: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every schema in a schema, with its path."""
    yield path, node
    for name, field in node.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}")
    for below, mark in (("items", "[]"), ("additionalProperties", "[*]")):
        if below in node:
            yield from nodes(node[below], path + mark)


def declared(schema: Schema) -> list[tuple[str, Schema]]:
    """What the product declares: all but the fields that every Kubernetes object has."""
    return [(path, node) for path, node in nodes(schema) if path not in (".apiVersion", ".kind", ".metadata")]


def test_it_is_named_as_the_group_and_the_plural_say() -> None:
    definition = crd()
    assert definition["metadata"]["name"] == "trainjobs.mmaction.dev"
    assert definition["spec"]["scope"] == "Namespaced"
    assert definition["spec"]["names"] == {
        "plural": "trainjobs",
        "singular": "trainjob",
        "kind": "TrainJob",
        "listKind": "TrainJobList",
        "shortNames": ["tj"],
        "categories": ["all", "mmaction"],
    }


def test_one_version_is_served_and_stored_with_a_status_of_its_own(version: dict[str, Any]) -> None:
    assert (version["name"], version["served"], version["storage"]) == ("v1alpha1", True, True)
    assert version["subresources"] == {"status": {}}


def test_every_node_has_a_type_and_no_key_that_a_structural_schema_lacks(schema: Schema) -> None:
    for path, node in nodes(schema):
        assert node.get("type") in TYPES or node.get("x-kubernetes-preserve-unknown-fields"), path
        assert set(node) <= KEYS, path
        assert not ("properties" in node and "additionalProperties" in node), path
        assert ("items" in node) == (node.get("type") == "array"), path
        assert set(node.get("required", [])) <= set(node.get("properties", {})), path


def test_every_default_is_of_its_field_and_within_its_bounds(schema: Schema) -> None:
    defaults = [(path, node) for path, node in nodes(schema) if "default" in node]
    assert ".spec.resources.nodes" in dict(defaults)
    for path, node in defaults:
        value = node["default"]
        assert type(value) in PYTHON[node["type"]], path
        assert value in node.get("enum", [value]), path
        if node["type"] == "object":
            assert set(value) <= set(node.get("properties", {})), path
            assert not node.get("required"), path
        if node["type"] in ("integer", "number"):
            assert node.get("minimum", value) <= value <= node.get("maximum", value), path


def test_bounds_are_whole_numbers_as_an_api_server_cuts_them_for_integers(schema: Schema) -> None:
    bounds = [(path, node[key]) for path, node in nodes(schema) for key in ("minimum", "maximum") if key in node]
    assert len(bounds) > 30
    assert all(isinstance(bound, int) for _, bound in bounds)


def test_every_text_list_and_map_is_bounded(schema: Schema) -> None:
    limits = {"string": "maxLength", "array": "maxItems", "object": "maxProperties"}
    for path, node in declared(schema):
        limit = limits.get(node.get("type", ""))
        bounded = "enum" in node or node.get("format") == "date-time" or "properties" in node
        assert limit is None or bounded or node[limit] > 0, path


def test_every_integer_and_number_of_the_spec_has_two_bounds(schema: Schema) -> None:
    for path, node in declared(schema):
        if path.startswith(".spec") and node.get("type") in ("integer", "number") and "enum" not in node:
            assert {"minimum", "maximum"} <= set(node), path


def test_every_field_has_a_description(schema: Schema) -> None:
    for path, node in declared(schema):
        if not path.endswith(("[]", "[*]")):
            assert len(node["description"]) > 5, path


def test_only_the_spec_is_required_and_metadata_is_left_to_the_api_server(schema: Schema) -> None:
    assert schema["required"] == ["spec"]
    assert schema["properties"]["metadata"] == {"type": "object"}
    assert {name: schema["properties"][name]["type"] for name in ("apiVersion", "kind")} == {
        "apiVersion": "string",
        "kind": "string",
    }


def test_conditions_are_a_map_by_type(schema: Schema) -> None:
    conditions = schema["properties"]["status"]["properties"]["conditions"]
    assert conditions["x-kubernetes-list-type"] == "map"
    for key in conditions["x-kubernetes-list-map-keys"]:
        assert key in conditions["items"]["required"]
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]


def test_every_rule_points_at_a_field_that_exists(schema: Schema) -> None:
    rules = [(node, rule) for _, node in nodes(schema) for rule in node.get("x-kubernetes-validations", [])]
    assert len(rules) >= 6
    for node, rule in rules:
        assert rule["message"]
        assert rule.get("fieldPath", "").removeprefix(".") in {"", *node["properties"]}


def test_every_column_shows_a_field_of_its_type(schema: Schema, version: dict[str, Any]) -> None:
    names = [column["name"] for column in version["additionalPrinterColumns"]]
    assert names == ["Phase", "Epoch", "Top1", "Best", "Port", "ETA", "Age"]
    fields = dict(nodes(schema))
    for column in version["additionalPrinterColumns"][:-1]:
        assert fields[column["jsonPath"]]["type"] == column["type"], column["name"]
        assert column["description"] == fields[column["jsonPath"]]["description"]
    assert version["additionalPrinterColumns"][-1] == {
        "name": "Age",
        "type": "date",
        "jsonPath": ".metadata.creationTimestamp",
    }


def with_defaults(value: Any, node: Schema) -> Any:
    """What an API server stores: its defaulting, in short."""
    if not isinstance(value, dict) or "properties" not in node:
        return value
    filled = {name: field["default"] for name, field in node["properties"].items() if "default" in field}
    merged = deepcopy(filled) | {name: given for name, given in value.items() if given is not None}
    return {name: with_defaults(given, node["properties"][name]) for name, given in merged.items()}


@pytest.mark.parametrize("changes", [{}, {"spec.resources": {"nodes": 2}}, {"spec.training": {"seed": None}}])
def test_an_api_server_fills_in_the_defaults_that_the_models_have(
    changes: dict[str, Any], manifest: Manifest, schema: Schema
) -> None:
    stored = with_defaults(manifest(changes)["spec"], schema["properties"]["spec"])
    parsed = parse(manifest(changes)).spec
    assert stored == parsed.model_dump(mode="json", by_alias=True, exclude_none=True)
