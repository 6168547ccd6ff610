"""Overrides merge as MMEngine merges, on anything that MMEngine can merge."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from mmengine.config import Config

from mmaction_operator.render import merging, tree
from mmaction_operator.render.plain import DELETE
from mmaction_trainer.contract.errors import ConfigFailure

keys = st.sampled_from("abc")
leaves = st.none() | st.integers(0, 3) | st.sampled_from(["x", "y"])
bases = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=12
)
changes = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(keys | st.sampled_from("012"), inner, max_size=3)
        | st.dictionaries(keys, inner, max_size=3).map(lambda change: {**change, DELETE: True})
        | st.dictionaries(keys, inner, max_size=3).map(lambda change: {**change, DELETE: False})
    ),
    max_leaves=12,
)
paths = st.lists(keys | st.sampled_from("01"), min_size=1, max_size=3).map(".".join)


@given(base=st.dictionaries(keys, bases, max_size=3), change=st.dictionaries(paths, changes, max_size=1))
@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_it_merges_what_mmengine_merges_to_the_same(base: dict[str, Any], change: dict[str, Any]) -> None:
    stock = Config(copy.deepcopy(base))
    try:
        stock.merge_from_dict(copy.deepcopy(change))
    except (TypeError, KeyError, AttributeError, ValueError):
        assume(False)  # MMEngine cannot
    expected = stock.to_dict()
    assume(not any(path[-1:] == (DELETE,) for path, _ in tree.nodes(expected)))  # MMEngine leaves its mark behind
    try:
        assert tree.same(merging.merge(base, merging.expand(change)), expected)
    except ConfigFailure as failure:
        if "found the text" not in failure.found:
            raise


@pytest.mark.parametrize(
    ("base", "change", "expected"),
    [
        pytest.param({}, {"a": {DELETE: True, "b": 1}}, {"a": {"b": 1}}, id="a mark without a base is no key"),
        pytest.param(
            {"a": [{"b": 1, "c": 2}]}, {"a": {"0": {DELETE: True, "b": 3}}}, {"a": [{"b": 3}]}, id="nor in an element"
        ),
        pytest.param({"a": [1, 2]}, {"a.1": 5}, {"a": [1, 5]}, id="an element may be a value"),
        pytest.param({"a": (0.9, 0.99)}, {"a.1": 0.5}, {"a": (0.9, 0.5)}, id="of a tuple too"),
        pytest.param({"a": None}, {"a": {"b": 1}}, {"a": {"b": 1}}, id="a dict may take the place of None"),
        pytest.param({"a": ((1, 0), (0,))}, {"a": [[1], [0]]}, {"a": ((1,), (0,))}, id="a list that of a tuple"),
        pytest.param(
            {"a": {"b": 1}}, {"a.c": 2, "a": {"d": 3}}, {"a": {"b": 1, "c": 2, "d": 3}}, id="two paths are both meant"
        ),
        pytest.param({"a": {}}, {"a": {".b.c": 1}}, {"a": {".b.c": 1}}, id="a dot below the top is part of a key"),
    ],
)
def test_where_mmengine_gives_up_it_does_what_was_meant(
    base: dict[str, Any], change: dict[str, Any], expected: dict[str, Any]
) -> None:
    before = copy.deepcopy((base, change))
    assert tree.same(merging.merge(base, merging.expand(change)), expected)
    assert (base, change) == before
