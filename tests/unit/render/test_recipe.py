"""Fields of a TrainJob, and what becomes of them in the config."""

from __future__ import annotations

from typing import Any

import pytest

from mmaction_trainer.contract.errors import ConfigFailure

from .jobs import CSN, I3D, MVIT, SLOWFAST, SWIN, TIMESFORMER, TSM, UNIFORMER, rendered


def steps(config: dict[str, Any], stage: str) -> dict[str, dict[str, Any]]:
    """The transforms of a stage by type, the last one of each."""
    return {step["type"]: step for step in config[f"{stage}_pipeline"]}


def test_without_a_learning_rate_the_recipes_own_is_scaled_to_the_batch() -> None:
    # 8 GPUs x 8 videos at 0.1 (256 epochs), here 4 x 8
    assert rendered(SLOWFAST, training={"batchSizePerGPU": 8}).effective_lr == pytest.approx(0.05)
    # base_batch_size 256 in the file, whatever the comment beside it says
    assert rendered(UNIFORMER, training={"batchSizePerGPU": 8}).effective_lr == pytest.approx(1e-5 * 32 / 256)


def test_zoo_weights_are_named_by_file_with_their_digest() -> None:
    result = rendered(SLOWFAST, pretrained="zoo")
    assert result.weights is not None
    assert result.weights.sha256_prefix == "701b0f6f"
    assert result.config["load_from"] == f"pretrained/{result.weights.name}"
    assert result.weights.uri.startswith("https://download.openmmlab.com/mmaction/v1.0/recognition/slowfast/")


def test_weights_by_uri_are_named_by_file() -> None:
    result = rendered(SLOWFAST, pretrained="s3://models/mine.pth")
    assert result.config["load_from"] == "pretrained/mine.pth"


def test_zoo_weights_that_nobody_published_are_refused() -> None:
    with pytest.raises(ConfigFailure, match=r"^spec\.model\.pretrained"):
        rendered(
            "slowonly_r50_8xb16-16x4x1-256e_kinetics400-flow",
            pretrained="zoo",
        )


@pytest.mark.parametrize(
    ("config", "off"),
    [
        (I3D, {"pretrained": None}),
        (TSM, {"pretrained": None, "pretrained2d": False}),
        (SWIN, {"pretrained": None, "pretrained2d": False}),
        (TIMESFORMER, {"pretrained": None}),
        (UNIFORMER, {"pretrained": None, "clip_pretrained": False}),
    ],
)
def test_each_family_has_its_own_switch_for_its_own_weights(config: str, off: dict[str, Any]) -> None:
    backbone = rendered(config, pretrained="zoo").config["model"]["backbone"]
    assert {key: backbone[key] for key in off} == off


@pytest.mark.parametrize(
    ("precision", "wrapper"),
    [
        ("fp32", {"type": "OptimWrapper"}),
        ("fp16", {"type": "AmpOptimWrapper", "dtype": "float16", "loss_scale": "dynamic"}),
        ("bf16", {"type": "AmpOptimWrapper", "dtype": "bfloat16"}),
    ],
)
@pytest.mark.parametrize("config", [SLOWFAST, SWIN])
def test_precision_is_the_jobs_not_the_recipes(config: str, precision: str, wrapper: dict[str, Any]) -> None:
    found = rendered(config, training={"precision": precision}).config["optim_wrapper"]
    assert {key: found[key] for key in wrapper} == wrapper


def test_fp16_is_refused_on_cpu() -> None:
    with pytest.raises(ConfigFailure, match=r"^spec\.training\.precision: fp16.*accepted: fp32 or bf16"):
        rendered(SLOWFAST, training={"precision": "fp16"}, resources={"gpusPerNode": 0})


def test_the_test_protocol_is_the_jobs_and_the_val_protocol_stays_the_recipes() -> None:
    result = rendered(SLOWFAST, evaluation={"clips": 4, "crops": 1})
    assert (str(result.val_protocol), str(result.test_protocol)) == ("1x1", "4x1")
    assert steps(result.config, "test")["SampleFrames"]["num_clips"] == 4
    assert "ThreeCrop" not in steps(result.config, "test")
    assert steps(result.config, "val")["SampleFrames"].get("num_clips", 1) == 1


def test_the_recipes_own_test_protocol_is_the_default() -> None:
    assert str(rendered(SLOWFAST).test_protocol) == "10x3"
    assert str(rendered(TIMESFORMER).test_protocol) == "1x3"
    assert str(rendered(UNIFORMER).test_protocol) == "4x3"


def test_three_crops_cover_the_whole_short_side() -> None:
    config = rendered(SLOWFAST, input={"cropSize": 112}).config
    crop = steps(config, "test")["ThreeCrop"]["crop_size"]
    (resize,) = [step for step in config["test_pipeline"] if step["type"] == "Resize"]
    assert resize["scale"] == (-1, crop)


@pytest.mark.parametrize(
    ("config", "frames", "told"),
    [
        (TIMESFORMER, 4, {"num_frames": 4, "img_size": 64}),
        (UNIFORMER, 4, {"t_size": 4, "input_resolution": 64}),
        (MVIT, 8, {"temporal_size": 8, "spatial_size": 64}),
        (TSM, 4, {"num_segments": 4}),
        (SLOWFAST, 16, {}),
        (CSN, 8, {}),
    ],
)
def test_a_smaller_input_is_told_to_model_and_sampler(config: str, frames: int, told: dict[str, int]) -> None:
    found = rendered(config, input={"frames": frames, "cropSize": 64}).config
    backbone = found["model"]["backbone"]
    assert {key: backbone[key] for key in told} == told
    for stage in ("train", "val", "test"):
        sampler = next(step for step in found[f"{stage}_pipeline"] if "Sample" in step["type"])
        assert frames in (sampler["clip_len"], sampler.get("num_clips"))


@pytest.mark.parametrize(
    ("config", "given", "field"),
    [
        (TIMESFORMER, {"cropSize": 100}, "spec.input.cropSize"),
        (SLOWFAST, {"frames": 9}, "spec.input.frames"),
    ],
)
def test_an_input_that_the_model_cannot_take_is_refused(config: str, given: dict[str, int], field: str) -> None:
    with pytest.raises(ConfigFailure) as raised:
        rendered(config, input=given)
    assert raised.value.where == field


def test_without_data_loading_processes_nothing_is_kept_or_fetched_ahead() -> None:
    loader = rendered(SLOWFAST, training={"workers": 0}).config["train_dataloader"]
    assert (loader["num_workers"], loader["persistent_workers"]) == (0, False)
    assert "prefetch_factor" not in loader


def test_on_cpu_ranks_speak_gloo_and_on_gpus_nccl() -> None:
    gpu = rendered(SLOWFAST).config
    cpu = rendered(SLOWFAST, resources={"gpusPerNode": 0, "processesPerNode": 2}).config
    assert gpu["env_cfg"]["dist_cfg"]["backend"] == "nccl"
    assert cpu["env_cfg"]["dist_cfg"]["backend"] == "gloo"
    assert cpu["model_wrapper_cfg"]["device_ids"] is None


def test_labels_that_swap_when_mirrored_are_not_carried_to_another_data_set() -> None:
    config = rendered("tsm_imagenet-pretrained-r50_8xb16-1x1x8-50e_sthv2-rgb").config
    assert not steps(config, "train")["Flip"].get("flip_label_map")
