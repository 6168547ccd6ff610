"""A job that trains nothing: which weights it can test, by which views, and what it may not ask for."""

from __future__ import annotations

from typing import Any

import pytest

from mmaction_trainer.contract.errors import ConfigFailure

from .jobs import C3D, MVIT, SLOWFAST, SWIN, TIMESFORMER, TSM, rendered
from .test_whole_zoo import ONLY

VIDEOMAE = "vit-base-p16_videomae-k400-pre_16x4x1_kinetics-400"
X3D = "x3d_s_13x6x1_facebook-kinetics400-rgb"
UNIFORMER = "uniformer-small_imagenet1k-pre_16x4x1_kinetics400-rgb"
UNIFORMERV2_L = "uniformerv2-large-p14-res224_clip-kinetics710-pre_u8_kinetics400-rgb"
ZOO: dict[str, Any] = {"evaluation": {"only": True}, "pretrained": "zoo", "classes": 400}


@pytest.mark.parametrize(
    ("config", "frames", "views"),
    [
        (SLOWFAST, "32x2x1", "10x3"),
        (TSM, "1x1x8", "1x10"),
        (VIDEOMAE, "16x4x1", "5x3"),
        (X3D, "13x6x1", "10x3"),
        (UNIFORMER, "16x4x1", "4x1"),
        (UNIFORMERV2_L, "uniform 8", "4x3"),
    ],
)
def test_the_zoos_weights_are_tested_by_the_zoos_protocol(config: str, frames: str, views: str) -> None:
    result = rendered(config, **ZOO)
    assert (result.sees.text, str(result.test_protocol)) == (frames, views)
    assert result.weights
    assert result.weights.uri.startswith("https://download.openmmlab.com/")


@pytest.mark.parametrize("config", [SLOWFAST, VIDEOMAE])
def test_the_zoos_weights_are_of_the_zoos_classes(config: str) -> None:
    with pytest.raises(ConfigFailure, match=r"^spec\.dataset\.numClasses: found 7.*accepted: its 400 classes"):
        rendered(config, **ZOO | {"classes": 7})


@pytest.mark.parametrize(
    ("config", "wanted", "unfit"),
    [
        (VIDEOMAE, {"frames": 8}, "the position embeddings"),
        (UNIFORMERV2_L, {"cropSize": 112}, "the position embeddings"),
        (TIMESFORMER, {"frames": 4}, "the time embeddings"),
        (MVIT, {"frames": 8}, "the relative position embeddings"),
        (C3D, {"cropSize": 64}, "the first linear layer"),
    ],
)
def test_an_input_that_the_zoos_weights_do_not_fit_is_refused(config: str, wanted: dict[str, int], unfit: str) -> None:
    with pytest.raises(ConfigFailure, match=rf"^spec\.input: {unfit} of the zoo's checkpoint do not fit it"):
        rendered(config, **ZOO | {"input": wanted, "classes": 101 if config == C3D else 400})
    own = rendered(config, input=wanted, **ONLY)
    assert not own.warnings, "a checkpoint of this input fits, and the trainer sees whether it does"


@pytest.mark.parametrize("config", [SLOWFAST, SWIN, X3D, UNIFORMER, VIDEOMAE])
def test_weights_that_fit_any_crop_are_tested_on_any(config: str) -> None:
    assert rendered(config, **ZOO | {"input": {"cropSize": 112}}).test_protocol.crop_size in (112, 128)


def test_clips_crops_and_the_batch_are_the_jobs() -> None:
    evaluation = {"only": True, "clips": 2, "crops": 1}
    result = rendered(UNIFORMERV2_L, **ZOO | {"evaluation": evaluation, "training": {"batchSizePerGPU": 3}})
    assert str(result.test_protocol) == "2x1"
    assert (result.config["test_dataloader"]["batch_size"], result.batch_size) == (3, 12)


def test_it_says_nothing_of_what_is_for_training() -> None:
    for config in (SLOWFAST, SWIN, "tpn-slowonly_r50_8xb8-8x8x1-150e_kinetics400-rgb"):
        assert rendered(config, **ZOO).warnings == ()


@pytest.mark.parametrize(
    "key", ["train_cfg", "train_pipeline", "train_dataloader", "val_evaluator", "optim_wrapper", "param_scheduler"]
)
def test_overrides_of_a_training_are_refused(key: str) -> None:
    with pytest.raises(ConfigFailure, match=rf"^spec\.overrides\.{key}: is for training"):
        rendered(SLOWFAST, **ZOO, overrides={f"{key}.type": "anything"})


def test_overrides_of_the_test_are_merged() -> None:
    overrides = {"model": {"test_cfg": {"max_testing_views": 4}}, "test_dataloader": {"num_workers": 2}}
    config = rendered(SLOWFAST, **ZOO, overrides=overrides).config
    assert config["model"]["test_cfg"] == {"max_testing_views": 4}
    assert (config["test_dataloader"]["num_workers"], config["test_dataloader"]["batch_size"]) == (2, 1)
    with pytest.raises(ConfigFailure, match=r"^spec\.overrides\.test_evaluator: no metric of it reports acc/top1"):
        rendered(SLOWFAST, **ZOO, overrides={"test_evaluator": {"type": "ConfusionMatrix"}})
