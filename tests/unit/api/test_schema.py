"""From models to structural schemas: what is translated, and what is refused while it can still be mended."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from mmaction_operator.api.fields import APIModel, Overrides, Rule
from mmaction_operator.api.schema import described, structural


class Inner(APIModel):
    """What is
    inside."""

    size: int = Field(default=3, ge=1)
    name: str | None = Field(default=None, max_length=5)


def fields(model: type[BaseModel]) -> dict[str, Any]:
    properties: dict[str, Any] = structural(described(model))["properties"]
    return properties


def test_an_optional_field_is_one_that_is_not_required_and_knows_no_null() -> None:
    class Model(APIModel):
        count: int | None = Field(default=None, le=9)

    schema = structural(described(Model))
    assert schema["properties"] == {"count": {"type": "integer", "maximum": 9}}
    assert "required" not in schema


def test_a_referenced_object_stands_in_its_place_with_its_docstring_on_one_line() -> None:
    class Model(APIModel):
        inner: Inner | None = None

    assert fields(Model)["inner"] == {
        "description": "What is inside.",
        "type": "object",
        "properties": {
            "size": {"type": "integer", "default": 3, "minimum": 1},
            "name": {"type": "string", "maxLength": 5},
        },
    }


def test_the_default_of_an_object_is_empty_so_that_the_defaults_of_its_fields_apply() -> None:
    class Model(APIModel):
        plain: Inner = Inner()
        larger: Inner = Inner(size=7)

    assert fields(Model)["plain"]["default"] == {}
    assert fields(Model)["larger"]["default"] == {"size": 7}


def test_a_single_literal_becomes_an_enum_of_one() -> None:
    class Model(APIModel):
        kind: Literal["A"]

    assert fields(Model)["kind"] == {"type": "string", "enum": ["A"]}


def test_a_list_of_objects_is_translated_below() -> None:
    class Model(APIModel):
        inners: list[Inner] = Field(max_length=2)

    assert fields(Model)["inners"]["items"]["properties"]["size"]["default"] == 3


def test_the_values_of_overrides_are_kept_as_they_are_nulls_included() -> None:
    class Model(APIModel):
        data: Overrides

    values = fields(Model)["data"]["additionalProperties"]
    assert values == {"nullable": True, "x-kubernetes-preserve-unknown-fields": True}


def test_a_rule_stands_on_its_object_and_points_at_its_field() -> None:
    class Model(APIModel):
        rules = (Rule(rule="self.a > 0", message="must be above 0", holds=lambda model: model.a > 0, field="a"),)
        a: int

    assert structural(described(Model))["x-kubernetes-validations"] == [
        {"rule": "self.a > 0", "message": "must be above 0", "fieldPath": ".a"}
    ]


class Union(APIModel):
    wrong: int | str


class ExclusiveBound(APIModel):
    wrong: float = Field(gt=0)


class FractionalBound(APIModel):
    wrong: float = Field(ge=0.5)


class AnyValue(APIModel):
    wrong: Any


class AnyMap(APIModel):
    wrong: dict[str, Any]


class Set(APIModel):
    wrong: set[str]


class Tuple(APIModel):
    wrong: tuple[int, int]


@pytest.mark.parametrize("model", [Union, ExclusiveBound, FractionalBound, AnyValue, AnyMap, Set, Tuple])
def test_what_an_api_server_would_refuse_or_drop_is_refused_with_the_field_named(model: type[APIModel]) -> None:
    with pytest.raises(TypeError, match=r"[Ww]rong.*(API server|structural schema)"):
        structural(described(model))


def test_the_same_bounds_refuse_in_python() -> None:
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        Inner(size=0)
