"""Whatever a TrainJob asks for within its bounds renders, or is refused at the field that is to blame."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmaction_operator.render import Rendered, tree
from mmaction_trainer.contract.errors import ConfigFailure

from .jobs import rendered
from .test_whole_zoo import TRAINABLE


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


jobs = st.fixed_dictionaries(
    {
        "config": st.sampled_from(TRAINABLE),
        "input": optional(
            frames=st.integers(1, 256),
            frameInterval=st.integers(1, 256),
            cropSize=st.integers(2, 64).map(lambda size: 16 * size),
            shortSide=st.integers(32, 2048),
        ),
        "training": optional(
            epochs=st.integers(1, 300),
            batchSizePerGPU=st.integers(1, 64),
            lr=st.floats(1e-12, 100),
            precision=st.sampled_from(["fp32", "fp16", "bf16"]),
            valInterval=st.integers(1, 20),
            checkpointInterval=st.integers(1, 20),
            workers=st.integers(0, 8),
        ),
        "evaluation": optional(clips=st.integers(1, 100), crops=st.sampled_from([1, 3, 10])),
        "resources": st.sampled_from([{"gpusPerNode": 0}, {"gpusPerNode": 8, "nodes": 2}]),
        "classes": st.integers(2, 100_000),
    }
)
FIELDS = (
    "spec.input.frames",
    "spec.input.frameInterval",
    "spec.input.cropSize",
    "spec.input.shortSide",
    "spec.evaluation.clips",
    "spec.training.precision",
)


@given(job=jobs)
@settings(max_examples=400, deadline=None)
def test_any_job_renders_or_is_refused(job: dict[str, Any]) -> None:
    try:
        result = rendered(**job)
    except ConfigFailure as failure:
        if failure.where not in FIELDS:
            pytest.fail(f"{failure.where} is not a field of the job: {failure}")
        return
    check_protocols(result, job)
    check_training(result, job)


def check_protocols(result: Rendered, job: dict[str, Any]) -> None:
    wanted = job["evaluation"]
    protocol = result.test_protocol
    assert protocol.clips == wanted.get("clips", protocol.clips)
    assert protocol.crops == wanted.get("crops", protocol.crops)
    for stage in ("train", "val", "test"):
        short, crop = None, None
        for step in result.config[f"{stage}_pipeline"]:
            if step["type"] == "Resize" and step.get("keep_ratio", True):
                short = max(step["scale"])
            crop = step.get("crop_size", step.get("size", crop))
            if step["type"] == "ThreeCrop":
                assert short == crop  # or it asserts
        assert short is None or crop is None or short >= crop


def check_training(result: Rendered, job: dict[str, Any]) -> None:
    config, wanted = result.config, job["training"]
    assert result.effective_lr == wanted.get("lr", result.effective_lr)
    assert result.epochs == config["train_cfg"]["max_epochs"] == wanted.get("epochs", result.epochs)
    assert 1 <= config["train_cfg"]["val_interval"] <= result.epochs
    for scheduler in config["param_scheduler"]:
        assert 0 <= scheduler.get("begin", 0) < scheduler.get("end", result.epochs) <= result.epochs
        assert all(1 <= at < result.epochs for at in scheduler.get("milestones", ()))
    assert tree.get(config, "model.cls_head.num_classes") == job["classes"]
