"""YAML is read the way kubectl reads it. What kubectl makes of each scalar was taken from sigs.k8s.io/yaml 1.6."""

from __future__ import annotations

from typing import Any

import pytest
from yaml import YAMLError

from mmaction_operator.api.manifest import load_documents

SCALARS: list[tuple[str, Any]] = [
    ("5e-3", 0.005),
    (".5", 0.5),
    ("1.", 1),
    ("+3", 3),
    ("1e2", 100),
    ("1.0", 1),
    ("12e03", 12000),
    ("1_000", 1000),
    ("1_0.5_0", 10.5),
    ("010", 8),
    ("0o17", 15),
    ("0x1F", 31),
    ("-0b11", -3),
    ("089", 89),
    ("1e30", 1e30),
    ("yes", True),
    ("y", True),
    ("On", True),
    ("N", False),
    ("off", False),
    ("oFF", "oFF"),
    ("~", None),
    ("", None),
    ("1:30", "1:30"),
    ("2024-01-01", "2024-01-01"),
    ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
    ("=", "="),
    ("_1", "_1"),
    ("0x", "0x"),
    ("-0", 0),
    ("0_7", 7),
    ("1.5.6", "1.5.6"),
    ("'5'", "5"),
    ('"y"', "y"),
    ("!!str 3", "3"),
]

LAUGHS = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))


def load(text: str) -> Any:
    (document,) = load_documents(text)
    return document


@pytest.mark.parametrize(("text", "value"), SCALARS, ids=[text for text, _ in SCALARS])
def test_a_scalar_means_what_it_means_to_kubectl(text: str, value: object) -> None:
    found = load(f"a: {text}")["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\na: 2", "the key 'a' stands here twice"),
        ("a: {b: 1, 'b': 2}", "the key 'b' stands here twice"),
        ("a: [{b: 1, c: 2, b: 1}]", "the key 'b' stands here twice"),
        ("n: 1", "write 'n' in quotes"),
        ("3: 1", "write '3' in quotes"),
        ("a: .inf", "JSON has no .inf"),
        ("a: .NaN", "JSON has no .NaN"),
        ("a: !!timestamp 2024-01-01", "could not determine a constructor"),
        ("a: !!set {b, c}", "could not determine a constructor"),
        ("a: !!python/name:os.system", "could not determine a constructor"),
        ("? [a]\n: 1", "a key is text"),
        ("a: !!int three", "invalid literal"),
        ("a: &b [1, *b]", "Circular reference"),
        (LAUGHS, "anchors stand for more than 1000000 values"),
        ('a: "\\ud83c"', "can't decode|codec can't"),
        (f"a: {'[' * 5000}{']' * 5000}", "nested hundreds of levels deep"),
    ],
)
def test_what_kubectl_would_change_or_refuse_is_refused(text: str, says: str) -> None:
    with pytest.raises(YAMLError, match=says.replace(".", r"\.")):
        load_documents(text)


def test_a_merged_mapping_may_be_overridden() -> None:
    text = "p: {a: &a {k: 1, m: 1}, b: &b {<<: *a, k: 2}}\nq: {<<: *b, k: 3}"
    assert load(text) == {"p": {"a": {"k": 1, "m": 1}, "b": {"k": 2, "m": 1}}, "q": {"k": 3, "m": 1}}


def test_empty_documents_are_passed_over() -> None:
    assert load_documents("---\na: 1\n---\n---\n# nothing\n") == [{"a": 1}]


def test_json_is_read_too() -> None:
    assert load('{"a": "\\ud83c\\udfac"}') == {"a": "🎬"}
    assert load('{"a": [1, 2.5e-3, null, true, "y"], "n": {}}') == {"a": [1, 0.0025, None, True, "y"], "n": {}}
