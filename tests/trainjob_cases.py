"""What a TrainJob may and may not say: trainjob_cases.yaml, on which the models and the API server must agree."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from mmaction_operator.api.fields import APIModel, Rule

CASES = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))


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


def models(parent: type[APIModel] = APIModel) -> Iterator[type[APIModel]]:
    """Every model of the API."""
    for model in parent.__subclasses__():
        if model.__module__.startswith("mmaction_operator."):
            yield model
            yield from models(model)


def rules() -> list[tuple[type[APIModel], Rule]]:
    """Every rule of the API, with the model that it is of."""
    return [(model, rule) for model in models() for rule in model.rules]


def rule_name(rule: Rule) -> str:
    """What cases call a rule: the field that it is about."""
    return rule.field or "metadata.name"


def parametrize(metafunc: pytest.Metafunc) -> None:
    """A test runs once for each ``accepted_case``, ``refused_case``, or ``ruled_out_case`` (by a CEL rule)."""
    ruled_out = [case for case in CASES["refused"] if "rule" in case]
    for name, cases in {"accepted": CASES["accepted"], "refused": CASES["refused"], "ruled_out": ruled_out}.items():
        if f"{name}_case" in metafunc.fixturenames:
            ids = [case["name"].replace(" ", "-") for case in cases]
            metafunc.parametrize(f"{name}_case", cases, ids=ids)
