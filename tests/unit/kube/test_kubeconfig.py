"""Which context and namespace kubeconfigs name; the tests of credentials say who we are by them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from mmaction_operator.kube.connection import context_of


def write(path: Path, current: str | None = None, **namespaces: str | None) -> Path:
    """A kubeconfig with contexts, each with its namespace or none."""
    contexts: list[dict[str, Any]] = []
    for name, namespace in namespaces.items():
        named = {"namespace": namespace} if namespace else {}
        contexts.append({"name": name, "context": {"cluster": "c", "user": "u", **named}})
    path.write_text(yaml.safe_dump({"contexts": contexts, **({} if current is None else {"current-context": current})}))
    return path


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (None, ("one", "team-a")),
        ("two", ("two", "default")),
        ("three", ("three", "team-c")),
        ("nowhere", ("nowhere", "default")),
    ],
)
def test_the_first_file_that_says_something_is_right(tmp_path: Path, name: str | None, found: tuple[str, str]) -> None:
    files = [
        tmp_path / "none",
        write(tmp_path / "a", "", two=None),
        write(tmp_path / "b", "one", one="team-a", two="team-b"),
        write(tmp_path / "c", "three", three="team-c", one="team-d"),
    ]
    assert context_of(os.pathsep.join(map(str, files)), name) == found


def test_without_a_file_no_context_is_meant(tmp_path: Path) -> None:
    assert context_of(str(tmp_path / "none"), None) == (None, "default")
    assert context_of("", None) == (None, "default")
