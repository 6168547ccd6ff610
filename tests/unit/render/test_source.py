"""The text is safe whatever is in the config, readable, and read back as it was."""

from __future__ import annotations

import ast
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config

from mmaction_operator.render import tree
from mmaction_operator.render.source import source
from mmaction_trainer.contract.errors import ConfigFailure

from .jobs import MVIT, TSM, rendered

HOSTILE = [
    "'); import os; os.system('touch /tmp/owned') #",
    '"""',
    "\\",
    "a\nb",
    "a\r\nimport os",
    "\x00",
    "\u2028import os",
    "{ {fileDirname} }",
    "$HOME ${HOME}",
    "𝓘𝓶𝓹𝓸𝓻𝓽",
    "\ud800",
]

names = st.from_regex(r"[a-z][a-z_0-9]{0,8}", fullmatch=True)
texts = st.text(max_size=20).filter(lambda text: "{{" not in text)
leaves = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    leaves | texts,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(names | texts, inner, max_size=4)
    ),
    max_leaves=20,
)


def evaluated(text: str) -> dict[str, Any]:
    """What the text defines, seen to be nothing but assignments of literals, names and calls of dict."""
    for statement in ast.parse(text).body:
        assert isinstance(statement, ast.Assign)
        for node in ast.walk(statement.value):
            assert not isinstance(node, ast.Call) or (isinstance(node.func, ast.Name) and node.func.id == "dict")
            assert not isinstance(node, ast.Attribute | ast.JoinedStr | ast.Lambda)
    scope: dict[str, Any] = {}
    exec(text, {"__builtins__": {"dict": dict}}, scope)
    return scope


def read_by_mmengine(text: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.py"
        path.write_text(text, encoding="utf-8")
        config: dict[str, Any] = Config.fromfile(path, import_custom_modules=False).to_dict()
    return config


@given(config=st.dictionaries(st.sampled_from(["model", "anything", "x1"]), values, max_size=3))
@settings(max_examples=200, deadline=None)
def test_any_data_survives(config: dict[str, Any]) -> None:
    assert tree.same(evaluated(source(config, job="a/b", recipe="c")), config)


@given(text=texts)
@settings(max_examples=50, deadline=None)
def test_any_text_survives_mmengine(text: str) -> None:
    assert read_by_mmengine(source({"log_level": text}, job="a/b", recipe="c")) == {"log_level": text}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_in_values_in_keys_and_in_the_header(text: str) -> None:
    config = {"log_level": text, "model": {"type": text, text: [text, (text,)]}}
    assert evaluated(source(config, job=text, recipe=text)) == config


@pytest.mark.parametrize("text", ["{{fileDirname}}", "x{{$HOME:y}}", "{{ _base_.model }}"])
def test_text_that_mmengine_would_substitute_is_refused(text: str) -> None:
    with pytest.raises(ConfigFailure, match="would substitute"):
        source({"log_level": text}, job="a/b", recipe="c")


def test_a_pipeline_is_written_once_and_referred_to() -> None:
    text = rendered(TSM).text
    assert text.count("pipeline=train_pipeline") == text.count("\ntrain_pipeline = [") == 1
    assert text.count("MultiScaleCrop") == 1


def test_the_header_names_the_job_and_the_model_comes_first() -> None:
    lines = rendered(TSM).text.splitlines()
    assert lines[0].startswith(f"# TrainJob default/job: {TSM} ")
    assert next(line for line in lines if line and not line.startswith("#")) == "model = dict("


@pytest.mark.parametrize("config", [TSM, MVIT])
def test_lines_are_short_enough_to_read(config: str) -> None:
    assert max(map(len, rendered(config).text.splitlines()[1:])) < 120
