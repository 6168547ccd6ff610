"""What a job asks for is what training uses."""

from __future__ import annotations

import pytest

from mmaction_operator import zoo
from mmaction_operator.render.learning_rate import base_batch_size
from mmaction_trainer.contract.errors import ConfigFailure

from .jobs import MVIT, SLOWFAST, SWIN, TSM, rendered
from .test_whole_zoo import TRAINABLE

TIN = "tin_kinetics400-pretrained-tsm-r50_1x1x8-50e_kinetics400-rgb"
R101 = "slowfast_r101-r50_32xb8-4x16x1-256e_kinetics400-rgb"


@pytest.mark.parametrize(
    ("config", "batch"),
    [
        pytest.param(TSM, 128, id="as the config says"),
        pytest.param(MVIT, 256, id="which knows of repeated samples, unlike its name (32xb16)"),
        pytest.param(SLOWFAST, 64, id="else as the name says"),
        pytest.param(R101, 256, id="and not the depths in it"),
        pytest.param(TIN, 48, id="else eight GPUs with the config's batch"),
    ],
)
def test_a_recipe_was_made_for_a_batch(config: str, batch: int) -> None:
    assert base_batch_size(zoo.load(config)) == batch


@pytest.mark.parametrize("name", TRAINABLE)
def test_the_recipes_batch_trains_with_the_recipes_rate(name: str) -> None:
    entry = zoo.load(name)
    per_process = entry.config["train_dataloader"]["batch_size"]
    processes, left = divmod(base_batch_size(entry), per_process)
    if left:
        pytest.skip("its own batch size does not divide it")
    result = rendered(name, resources={"gpusPerNode": 0, "processesPerNode": processes})
    assert result.effective_lr == entry.config["optim_wrapper"]["optimizer"]["lr"]
    assert result.batch_size == base_batch_size(entry)
    assert not [warning for warning in result.warnings if "learning rate" in warning]


@pytest.mark.parametrize(
    ("nodes", "gpus", "batch", "rate"), [(1, 1, 1, 0.1 / 64), (1, 4, 8, 0.05), (2, 8, 8, 0.2), (4, 8, 16, 0.8)]
)
def test_it_scales_with_the_batch_of_all_processes(nodes: int, gpus: int, batch: int, rate: float) -> None:
    resources = {"nodes": nodes, "gpusPerNode": gpus}
    result = rendered(SLOWFAST, resources=resources, training={"batchSizePerGPU": batch})
    assert result.batch_size == nodes * gpus * batch
    assert result.effective_lr == pytest.approx(rate)
    assert result.config["auto_scale_lr"] == {"enable": False, "base_batch_size": result.batch_size}


def test_a_scaled_rate_is_announced_with_both_batches() -> None:
    sentence = "The learning rate is 0.05: the recipe's 0.1, for a batch of 64, scaled to one of 32."
    assert sentence in rendered(SLOWFAST).warnings


@pytest.mark.parametrize("rate", [1e-12, 3e-5, 0.1 + 0.2, 100.0])
def test_a_rate_that_is_asked_for_is_used_to_the_last_bit(rate: float) -> None:
    result = rendered(SLOWFAST, training={"lr": rate})
    assert result.effective_lr == rate
    assert f"lr={rate!r}" in result.text


@pytest.mark.parametrize(("rate", "told"), [(0.05, ""), (0.005, ""), (2.0, "40 times"), (1e-4, "0.002 times")])
def test_a_rate_far_from_the_recipes_for_this_batch_is_announced(rate: float, told: str) -> None:
    """SlowFast's for a batch of 32 is 0.05."""
    (*warnings,) = rendered(SLOWFAST, training={"lr": rate}).warnings
    assert [told in warning and "has for a batch of 32, 0.05" in warning for warning in warnings] == [True] * bool(told)


def test_rates_that_a_scheduler_names_outright_follow() -> None:
    entry = zoo.load(MVIT).config
    (_, cosine) = rendered(MVIT, training={"lr": entry["optim_wrapper"]["optimizer"]["lr"] / 10}).config[
        "param_scheduler"
    ]
    assert cosine["eta_min"] == pytest.approx(entry["param_scheduler"][1]["eta_min"] / 10)


def test_factors_of_parts_of_the_model_are_kept() -> None:
    wrapper = rendered(SWIN, training={"precision": "bf16"}).config["optim_wrapper"]
    assert wrapper["paramwise_cfg"]["backbone"] == {"lr_mult": 0.1}
    assert wrapper["constructor"] == "SwinOptimWrapperConstructor"


def test_a_rate_in_overrides_is_reported_and_may_not_contradict_the_field() -> None:
    override = {"optim_wrapper": {"optimizer": {"_delete_": True, "type": "AdamW", "lr": 0.001}}}
    assert rendered(SLOWFAST, overrides=override).effective_lr == 0.001
    assert rendered(SLOWFAST, overrides=override, training={"lr": 0.001}).effective_lr == 0.001
    with pytest.raises(ConfigFailure, match=r"found 0\.001, and spec\.training\.lr is 0\.5\. Keep one of them"):
        rendered(SLOWFAST, overrides=override, training={"lr": 0.5})


@pytest.mark.parametrize("rate", [None, 0, -0.1, "high", True, [0.1]])
def test_an_override_that_is_no_rate_is_refused(rate: object) -> None:
    override = {"optim_wrapper": {"optimizer": {"_delete_": True, "type": "AdamW", "lr": rate}}}
    with pytest.raises(ConfigFailure, match=r"^spec\.overrides\.optim_wrapper\.optimizer\.lr: found"):
        rendered(SLOWFAST, overrides=override)


def test_leaving_a_recipes_mixed_precision_is_announced() -> None:
    assert [warning for warning in rendered(SWIN).warnings if "mixed precision" in warning]
    assert not [
        warning for warning in rendered(SWIN, training={"precision": "fp16"}).warnings if "precision" in warning
    ]
