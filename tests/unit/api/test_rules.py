"""Every rule of the API says the same in CEL and in Python; trainjob_cases.yaml holds what each accepts and refuses."""

from __future__ import annotations

from typing import Any

from mmaction_operator.api.spec import KEPT, KEPT_IF_GIVEN, TrainJobSpec
from tests.trainjob_cases import rule_name, rules


def test_every_field_of_the_spec_is_kept_but_for_what_may_change() -> None:
    fields = {field.alias or name for name, field in TrainJobSpec.model_fields.items()}
    assert fields - {*KEPT, *KEPT_IF_GIVEN} == {"suspend", "overrides"}
    absent = {field.alias or name for name, field in TrainJobSpec.model_fields.items() if field.default is None}
    assert absent == set(KEPT_IF_GIVEN)


def test_every_rule_that_can_be_told_from_one_object_has_a_twin_in_python() -> None:
    assert len(rules()) >= 6
    for _, rule in rules():
        assert (rule.holds is None) == ("oldSelf" in rule.rule), rule.rule


def test_only_the_spec_as_a_whole_compares_with_what_is_stored() -> None:
    assert [model.__name__ for model, rule in rules() if rule.holds is None] == ["TrainJobSpec"]


def test_every_rule_has_a_manifest_that_it_accepts_and_one_that_it_refuses(cases: dict[str, Any]) -> None:
    expected = {rule_name(rule) for _, rule in rules() if rule.holds}
    for verdict in ("accepted", "refused"):
        assert {case["rule"] for case in cases[verdict] if "rule" in case} == expected, verdict


def test_every_rule_names_a_field_of_its_object_by_its_name_in_a_manifest() -> None:
    for model, rule in rules():
        assert rule.field in {"", *(field.alias for field in model.model_fields.values())}, rule.rule
