"""cases.yaml: a small valid manifest, and what becomes of it when some of its fields change."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

CASES = yaml.safe_load((Path(__file__).parent / "cases.yaml").read_text(encoding="utf-8"))


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """The valid manifest with some paths set, such as ``{"spec.training.lr": 1}``; ``ABSENT`` removes one."""
    document: dict[str, Any] = deepcopy(CASES["manifest"])
    for path, value in changes.items():
        *parents, name = path.split(".")
        node = document
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = deepcopy(value)
        if value == "ABSENT":
            del node[name]
    return document


@pytest.fixture
def manifest() -> Callable[[dict[str, Any]], dict[str, Any]]:
    return changed


@pytest.fixture
def cases() -> dict[str, Any]:
    return deepcopy(CASES)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for ``accepted_case`` or ``refused_case`` runs once for each of cases.yaml."""
    for verdict in ("accepted", "refused"):
        if f"{verdict}_case" in metafunc.fixturenames:
            names = [case["name"].replace(" ", "-") for case in CASES[verdict]]
            metafunc.parametrize(f"{verdict}_case", CASES[verdict], ids=names)
