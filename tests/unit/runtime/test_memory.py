"""What a training step holds is known without taking one: beside what autograd really keeps on a CPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mmaction_operator.api import parse
from mmaction_operator.render import render
from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.checklist import Checklist
from mmaction_trainer.runtime import examine, memory
from tests.run_folders import a_run

CLIP = Path(__file__).parents[2] / "data" / "clips" / "part_0.mp4"
SLOWFAST = "slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb"
TSM = "tsm_imagenet-pretrained-mobilenetv2_8xb16-1x1x8-100e_kinetics400-rgb"
TIMESFORMER = "timesformer_divST_8xb8-8x32x1-15e_kinetics400-rgb"


def config(name: str, folder: Path, crop: int, **training: object) -> None:
    """Write the config of a job with small crops."""
    job = {
        "apiVersion": "mmaction.dev/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": "x"},
        "spec": {
            "model": {"config": name, "pretrained": "none"},
            "dataset": {"uri": "d", "format": "list", "numClasses": 5},
            "input": {"cropSize": crop},
            "training": {"batchSizePerGPU": 4, **training},
            "storage": {"uri": "r"},
        },
    }
    (folder / layout.CONFIG).write_text(render(parse(job)).text)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run directory that is the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("name", "crop"), [(SLOWFAST, 64), (TSM, 64), (TIMESFORMER, 32)])
def test_a_step_that_computes_nothing_keeps_as_much_as_a_real_one(folder: Path, name: str, crop: int) -> None:
    config(name, folder, crop)
    config_of, model = examine.build()
    inputs = memory.inputs_of(config_of, model, str(CLIP))
    assert inputs.shape[0] == 1
    assert inputs.shape[-2:] == (crop, crop)
    model.train()
    real = memory.kept_for_backward(model, torch.cat([inputs, inputs]))
    found = memory.estimate(config_of, model, inputs)
    assert found.activations * 2 == pytest.approx(real, rel=0.05)


def test_weights_gradients_buckets_and_momentum_are_counted(folder: Path) -> None:
    config(TSM, folder, 32)
    config_of, model = examine.build()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    found = memory.estimate(config_of, model, memory.inputs_of(config_of, model, str(CLIP)))
    assert found.states == 4 * 4 * parameters
    assert found.of_batch(8) == found.states + 8 * found.activations


def test_mixed_precision_keeps_half_of_the_activations(folder: Path) -> None:
    found = []
    for precision in ("fp32", "bf16"):
        config(TSM, folder, 32, precision=precision)
        config_of, model = examine.build()
        found.append(memory.estimate(config_of, model, memory.inputs_of(config_of, model, str(CLIP))))
    assert found[1].activations == found[0].activations // 2
    assert found[1].states == found[0].states


def test_a_gpu_that_is_too_small_is_a_warning(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """nvidia-smi is played by a script, with the output that it has."""
    (folder / "nvidia-smi").write_text("#!/bin/sh\necho 24576\necho 16\n")
    (folder / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    config(TSM, folder, 64)
    config_of, model = examine.build()
    run = a_run("a", port=1)
    run = run.model_copy(update={"world": run.world.model_copy(update={"device": "cuda"})})
    checklist = Checklist()
    memory.look(config_of, model, run, str(CLIP), checklist)
    check = checklist.made["memory"]
    assert check.outcome == "warned"
    assert "a GPU of this machine has 0.0; lower training.batchSizePerGPU" in check.warnings[0]
