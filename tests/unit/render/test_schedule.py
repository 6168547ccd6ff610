"""The recipe's schedules, drawn out or in to the job's epochs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.registry import PARAM_SCHEDULERS

from mmaction_operator import zoo

from .jobs import CSN, I3D, SLOWFAST, SWIN, TIMESFORMER, TSM, UNIFORMER, rendered
from .test_whole_zoo import TRAINABLE

R2PLUS1D = "r2plus1d_r34_8xb8-8x8x1-180e_kinetics400-rgb"
SLOWONLY = "slowonly_r50_8xb16-4x16x1-256e_kinetics400-rgb"
MIT = "uniformerv2-base-p16-res224_clip-kinetics710-kinetics-k400-pre_16xb32-u8_mitv1-rgb"


def bounds(config: str, epochs: int) -> list[dict[str, Any]]:
    keys = ("begin", "end", "T_max", "milestones")
    schedulers = rendered(config, training={"epochs": epochs}).config["param_scheduler"]
    return [{key: scheduler[key] for key in keys if key in scheduler} for scheduler in schedulers]


def one_of_each_schedule() -> list[str]:
    return list({repr(zoo.load(name).config["param_scheduler"]): name for name in TRAINABLE}.values())


def warm_up(length: int) -> dict[str, Any]:
    return {"begin": 0, "end": length}


def cosine(begin: int, end: int) -> dict[str, Any]:
    return {"begin": begin, "end": end, "T_max": end - begin}


def steps(end: int, *milestones: int) -> dict[str, Any]:
    return {"begin": 0, "end": end, "milestones": list(milestones)}


@pytest.mark.parametrize(
    ("config", "epochs", "expected"),
    [
        pytest.param(SLOWFAST, 100, [warm_up(13), cosine(0, 100)], id="34 of 256 epochs of warm-up become 13 of 100"),
        pytest.param(SLOWFAST, 512, [warm_up(68), cosine(0, 512)], id="a longer training has a longer warm-up"),
        pytest.param(SLOWONLY, 64, [warm_up(9), cosine(9, 64)], id="what follows the warm-up begins where it ends"),
        pytest.param(UNIFORMER, 30, [warm_up(3), cosine(3, 30)], id="T_max stays the length of the cosine"),
        pytest.param(MIT, 12, [warm_up(3), {"begin": 3, "end": 12}], id="no T_max is no T_max"),
        pytest.param(R2PLUS1D, 30, [{"T_max": 30}], id="a T_max without bounds is the whole training"),
        pytest.param(I3D, 25, [steps(25, 10, 20)], id="milestones move in proportion"),
        pytest.param(TIMESFORMER, 30, [steps(30, 10, 20)], id="and outwards"),
        pytest.param(
            TSM, 10, [{"begin": 0, "end": 2}, steps(10, 5, 9)], id="a warm-up by epoch has two steps at least"
        ),
        pytest.param(CSN, 4, [{"begin": 0, "end": 2}, steps(4, 2, 3)], id="while they are no more than half"),
        pytest.param(CSN, 3, [steps(3, 1, 2)], id="a warm-up with no room goes, and milestones stay apart"),
        pytest.param(UNIFORMER, 2, [warm_up(1), cosine(1, 2)], id="a warm-up by iteration has one epoch at least"),
        pytest.param(UNIFORMER, 1, [cosine(0, 1)], id="but not of one"),
        pytest.param(I3D, 2, [steps(2, 1)], id="of two milestones in one step the last one stays"),
        pytest.param(I3D, 1, [], id="one epoch has no step to decay at"),
        pytest.param(SWIN, 12, [warm_up(1), cosine(0, 12)], id="half epochs become whole ones"),
    ],
)
def test_bounds_fit_the_epochs(config: str, epochs: int, expected: list[dict[str, Any]]) -> None:
    assert bounds(config, epochs) == expected


@pytest.mark.parametrize("name", TRAINABLE)
def test_a_schedule_for_the_recipes_own_epochs_is_the_recipes(name: str) -> None:
    entry = zoo.load(name)
    drawn = rendered(name, training={"epochs": entry.epochs}).config["param_scheduler"]
    for ours, theirs in zip(drawn, entry.config["param_scheduler"], strict=True):
        assert {key: ours[key] for key in ours if key != "eta_min"} == {
            key: theirs[key] for key in theirs if key != "eta_min"
        }


@pytest.mark.parametrize("name", one_of_each_schedule())
@pytest.mark.parametrize("epochs", [1, 2, 3, 4, 5, 9, 40])
@pytest.mark.parametrize("iterations", [2, 7])
def test_mmengine_takes_the_schedule_and_the_rate_is_reached(name: str, epochs: int, iterations: int) -> None:
    """A warm-up of one step would leave the rate at its first factor for the whole training."""
    schedulers = rendered(name, training={"epochs": epochs, "lr": 1.0}).config["param_scheduler"]
    rates = simulated(schedulers, epochs, iterations)
    assert 0.5 < max(rates) <= 1.0 + 1e-9
    assert min(rates) >= 0


def simulated(schedulers: list[dict[str, Any]], epochs: int, iterations: int) -> list[float]:
    """The rate of every iteration, as MMEngine's own schedulers set it, from 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    built = [
        PARAM_SCHEDULERS.build(dict(scheduler), default_args={"optimizer": optimizer, "epoch_length": iterations})
        for scheduler in schedulers
    ]
    rates = []
    for step in range(1, epochs * iterations + 1):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        for scheduler in built:
            if not scheduler.by_epoch or step % iterations == 0:
                scheduler.step()
    return rates


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        pytest.param({}, (5, 1), id="the recipe validates every fifth epoch"),
        pytest.param({"epochs": 3}, (3, 1), id="a shorter training once, in the end"),
        pytest.param({"epochs": 40, "valInterval": 2}, (2, 1), id="or as the job says"),
        pytest.param({"epochs": 4, "valInterval": 100}, (4, 1), id="but in the last epoch at the latest"),
    ],
)
def test_validation_takes_place(training: dict[str, int], expected: tuple[int, int]) -> None:
    loop = rendered(SLOWFAST, training=training).config["train_cfg"]
    assert (loop["val_interval"], loop["val_begin"]) == expected


@pytest.mark.parametrize(
    ("training", "interval", "kept"),
    [
        pytest.param({}, 5, 2, id="as often as it is validated"),
        pytest.param({"checkpointInterval": 2, "keepCheckpoints": 7}, 2, 7, id="or as the job says"),
        pytest.param({"epochs": 3, "checkpointInterval": 9}, 3, 2, id="but in the last epoch at the latest"),
    ],
)
def test_checkpoints_are_written(training: dict[str, int], interval: int, kept: int) -> None:
    hook = rendered(SLOWFAST, training=training).config["default_hooks"]["checkpoint"]
    assert (hook["interval"], hook["max_keep_ckpts"]) == (interval, kept)
    assert (hook["save_best"], hook["rule"], hook["save_last"]) == ("acc/top1", "greater", True)


def test_a_training_too_short_to_warm_up_says_so() -> None:
    sentence = "spec.training.epochs is 1: too few for the recipe's warm-up, which is left out."
    assert sentence in rendered(UNIFORMER, training={"epochs": 1}).warnings
