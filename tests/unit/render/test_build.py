"""Rendered models build with the job's classes and train a step on CPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope

from mmaction_trainer.runtime import compat

from .jobs import CSN, I3D, MVIT, SLOWFAST, SWIN, TIMESFORMER, TSM, UNIFORMER, rendered

compat.apply()
import mmaction.models  # noqa: E402, F401  (registers them)
from mmaction.registry import MODELS  # noqa: E402
from mmaction.structures import ActionDataSample  # noqa: E402


@pytest.mark.parametrize(
    ("config", "frames", "crop"),
    [
        (I3D, 8, 64),
        (SLOWFAST, 16, 64),
        (TIMESFORMER, 4, 64),
        (UNIFORMER, 4, 64),
        (TSM, 4, 64),
        (SWIN, 8, 64),
        (MVIT, 8, 64),
        (CSN, 8, 64),
    ],
)
def test_it_builds_with_seven_outputs_and_trains_a_step(config: str, frames: int, crop: int) -> None:
    init_default_scope("mmaction")
    result = rendered(config, input={"frames": frames, "cropSize": crop})
    model = MODELS.build(result.config["model"])
    model.init_weights()
    model.train()
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-3))
    before = {name: value.detach().clone() for name, value in model.named_parameters() if value.requires_grad}
    losses = model.train_step(a_batch(result.config, frames, crop), optimizer)
    assert torch.isfinite(losses["loss"])
    changed = [name for name, value in model.named_parameters() if name in before and not value.equal(before[name])]
    assert any("cls_head" in name for name in changed)
    assert any("backbone" in name for name in changed)
    weights = [value for name, value in model.cls_head.named_parameters() if name.endswith("weight")]
    assert weights[-1].shape[0] == 7


def a_batch(config: dict[str, Any], frames: int, crop: int) -> dict[str, Any]:
    """Two random videos, uint8, as the workers send them: views x C x T x H x W, or views x C x H x W."""
    flat = next(step for step in config["train_pipeline"] if step["type"] == "FormatShape")["input_format"] == "NCHW"
    shape = (frames, 3, crop, crop) if flat else (1, 3, frames, crop, crop)
    samples = [ActionDataSample().set_gt_label(label) for label in (0, 6)]
    return {"inputs": [torch.randint(0, 255, shape, dtype=torch.uint8) for _ in samples], "data_samples": samples}
