"""JSON that somebody has stored can be read, however deep it is nested, and keeps nobody from reading the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmaction_operator.kube import Client
from mmaction_operator.kube.reading import DEEPEST, read

from .scripted import THINGS, Answer, ScriptedServer, listing, thing

TEXTS = st.text(st.characters(codec="utf-8"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
)


def nested(value: Any, depth: int, opening: str = "[", closing: str = "]") -> bytes:
    return f"{opening * depth}{json.dumps(value)}{closing * depth}".encode()


@given(VALUES)
@settings(deadline=None)
def test_what_is_not_nested_deep_is_read_as_it_is(value: Any) -> None:
    assert read(json.dumps(value).encode()) == value
    assert read(json.dumps(value, ensure_ascii=False).encode()) == value


@given(VALUES, st.sampled_from([("[", "]"), ('{"a": ', "}"), ('[{"]}": ', "}]")]))
@settings(deadline=None, max_examples=30)
def test_what_lies_deeper_than_any_schema_is_null_and_what_stands_beside_it_is_there(
    value: Any, brackets: tuple[str, str]
) -> None:
    deep = nested("]}", 5000, *brackets)
    beside = json.dumps(value).encode()
    found = read(b'{"first": %b, "deep": %b, "last": [%b]}' % (beside, deep, beside))
    assert (found["first"], found["last"]) == (value, [value])
    depth, inner = 1, found["deep"]
    while inner is not None:
        depth, (inner,) = depth + 1, inner.values() if isinstance(inner, dict) else inner
    assert depth == DEEPEST


@pytest.mark.parametrize("body", [b"", b"{", b"not JSON", nested(1, 5000)[:-1], b"<html></html>"])
def test_what_is_no_json_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(body)


def test_a_list_that_holds_such_an_object_is_read(server: ScriptedServer, client: Client) -> None:
    body = json.dumps(listing(1, thing("harmless", 1), thing("deep", 1, spec="DEEP")).body).encode()
    server.answers(Answer(body=body.replace(b'"DEEP"', nested(1, 5000))))
    assert [item["metadata"]["name"] for item in client.list(THINGS).objects] == ["harmless", "deep"]
