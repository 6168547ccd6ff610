"""Every rule of the API says the same in CEL and in Python; cases.yaml holds what each accepts and refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmaction_operator.api.fields import APIModel, Rule


def models(parent: type[APIModel] = APIModel) -> Iterator[type[APIModel]]:
    for model in parent.__subclasses__():
        if model.__module__.startswith("mmaction_operator."):
            yield model
            yield from models(model)


def rules() -> list[tuple[type[APIModel], Rule]]:
    return [(model, rule) for model in models() for rule in model.rules]


def name(rule: Rule) -> str:
    return rule.field or "metadata.name"


def test_every_rule_that_can_be_told_from_one_object_has_a_twin_in_python() -> None:
    assert len(rules()) >= 6
    for _, rule in rules():
        assert (rule.holds is None) == ("oldSelf" in rule.rule), rule.rule


def test_only_the_spec_as_a_whole_compares_with_what_is_stored() -> None:
    assert [model.__name__ for model, rule in rules() if rule.holds is None] == ["TrainJobSpec"]


def test_every_rule_has_a_manifest_that_it_accepts_and_one_that_it_refuses(cases: dict[str, Any]) -> None:
    expected = {name(rule) for _, rule in rules() if rule.holds}
    for verdict in ("accepted", "refused"):
        assert {case["rule"] for case in cases[verdict] if "rule" in case} == expected, verdict


def test_every_rule_names_a_field_of_its_object_by_its_name_in_a_manifest() -> None:
    for model, rule in rules():
        assert rule.field in {"", *(field.alias for field in model.model_fields.values())}, rule.rule
