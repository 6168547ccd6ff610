"""Every rendered model builds with the job's classes, at the smallest input that the renderer accepts, and runs on CPU.

Models that are equal, whatever the recipes around them, are built once, under the name of the first.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from typing import Any

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope

from mmaction_operator.render import Rendered
from mmaction_trainer.contract.errors import ConfigFailure
from mmaction_trainer.runtime import compat

from .jobs import TIN, rendered
from .test_whole_zoo import ONLY, TESTABLE, TRAINABLE
from .views import inputs

compat.apply()
import mmaction.models  # noqa: E402, F401  (registers them)
from mmaction.registry import MODELS  # noqa: E402
from mmaction.structures import ActionDataSample  # noqa: E402
from mmengine.utils import import_modules_from_strings  # noqa: E402

ONE_VIEW = ONLY | {"evaluation": {"only": True, "clips": 1, "crops": 1}}
FRAMES = (1, 2, 3, 5, 8, 16)
CROPS = (32, 42, 224)


def smallest(name: str, job: dict[str, Any]) -> Rendered:
    """A job of a config with the smallest input that is accepted."""
    refused = ConfigFailure("input", "nothing was tried")
    for frames, crop in itertools.product(FRAMES, CROPS):
        try:
            return rendered(name, input={"frames": frames, "cropSize": crop}, **job)
        except ConfigFailure as failure:
            refused = failure
    raise refused


def distinct(names: Iterable[str], job: dict[str, Any]) -> list[Any]:
    """A case for each model that no earlier name has."""
    found: dict[str, Any] = {}
    for name in names:
        result = smallest(name, job)
        found.setdefault(json.dumps(result.config["model"], sort_keys=True), pytest.param(result, id=name))
    return list(found.values())


@pytest.mark.parametrize("result", distinct([name for name in TRAINABLE if not name.startswith("tin_")], {}))
def test_it_builds_with_seven_outputs_and_trains_a_step(result: Rendered) -> None:
    model = built(result)
    names = set(model.state_dict())
    model.init_weights()
    started = {name: value.detach().clone() for name, value in model.named_parameters() if value.requires_grad}
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-3))
    losses = model.train().train_step(a_batch(result, "train"), optimizer)
    assert torch.isfinite(losses["loss"])
    changed = [name for name, value in model.named_parameters() if name in started and not value.equal(started[name])]
    assert any("cls_head" in name for name in changed)
    assert any("backbone" in name for name in changed)
    assert set(model.state_dict()) == names, "a model that is only built takes all that a training saves"
    assert 7 in [value.shape[0] for value in model.cls_head.parameters()]


@pytest.mark.parametrize("result", distinct(TESTABLE, ONE_VIEW))
def test_one_that_only_tests_builds_with_seven_outputs_and_scores_a_batch(result: Rendered) -> None:
    model = built(result)
    with torch.inference_mode():
        scored = model.eval().test_step(a_batch(result, "test"))
    for sample in scored:
        assert sample.pred_score.shape == (7,)
        assert sample.pred_score.sum() == pytest.approx(1, abs=1e-4)


def test_tin_cannot_run_here_as_its_refusal_says() -> None:
    result = smallest(TIN, {})
    with pytest.raises(ImportError, match="tin_shift"):
        built(result).eval().test_step(a_batch(result, "val"))


def built(result: Rendered) -> Any:
    init_default_scope("mmaction")
    import_modules_from_strings(**result.config["custom_imports"])
    return MODELS.build(result.config["model"])


def a_batch(result: Rendered, stage: str) -> dict[str, Any]:
    """Two videos as the workers send them."""
    samples = [ActionDataSample().set_gt_label(label) for label in (0, 6)]
    return {"inputs": [inputs(result, stage) for _ in samples], "data_samples": samples}
