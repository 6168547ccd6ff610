"""Frames and pixels: in every pipeline, in the model, and refused by name where a model cannot take them."""

from __future__ import annotations

from typing import Any

import pytest

from mmaction_operator.render import tree
from mmaction_trainer.contract.errors import ConfigFailure

from .jobs import CSN, I3D, MVIT, SLOWFAST, SWIN, TIMESFORMER, TSM, UNIFORMER, rendered
from .test_protocol import C2D, C3D, I3D_DENSE, TPN_TSM, TRN, TSM_DENSE, TSN

TANET = "tanet_imagenet-pretrained-r50_8xb8-dense-1x1x8-100e_kinetics400-rgb"
TPN = "tpn-slowonly_r50_8xb8-8x8x1-150e_kinetics400-rgb"
TIMM = "tsn_imagenet-pretrained-swin-transformer_8xb32-1x1x3-100e_kinetics400-rgb"
SLOWFAST_8X8 = "slowfast_r50_8xb8-8x8x1-256e_kinetics400-rgb"
FLOW = "tsn_imagenet-pretrained-r50_8xb32_5x1x3-110e_kinetics400-flow"
STAGES = ("train", "val", "test")


def sampled(config: dict[str, Any], key: str) -> list[int | None]:
    """One key of the sampler, by stage."""
    samplers = [next(step for step in config[f"{stage}_pipeline"] if "clip_len" in step) for stage in STAGES]
    return [sampler.get(key) for sampler in samplers]


def sizes(config: dict[str, Any], stage: str) -> list[Any]:
    """Every size in a pipeline, in order."""
    keys = ("scale", "scale_range", "size", "input_size", "crop_size")
    return [step[key] for step in config[f"{stage}_pipeline"] for key in keys if key in step]


@pytest.mark.parametrize(
    ("config", "frames", "key", "expected"),
    [
        pytest.param(SLOWFAST, 16, "clip_len", [16, 16, 16], id="a clip's length"),
        pytest.param(C2D, 4, "clip_len", [4, 4, 4], id="also of a 2D model that samples clips"),
        pytest.param(UNIFORMER, 4, "clip_len", [4, 4, 4], id="also where frames are spread over the video"),
        pytest.param(TSM, 4, "num_clips", [4, 4, 4], id="the number of segments"),
        pytest.param(TSM_DENSE, 16, "num_clips", [16, 16, 16], id="also of dense ones"),
        pytest.param(TSN, 5, "num_clips", [5, 5, 25], id="while TSN is tested on its own number"),
        pytest.param(FLOW, 2, "num_clips", [2, 2, 25], id="and a stack of flow keeps its length"),
    ],
)
def test_frames_are_what_the_model_is_trained_on(config: str, frames: int, key: str, expected: list[int]) -> None:
    assert sampled(rendered(config, input={"frames": frames}).config, key) == expected


def test_the_distance_between_frames_is_set_in_every_stage() -> None:
    assert sampled(rendered(SLOWFAST, input={"frameInterval": 5}).config, "frame_interval") == [5, 5, 5]


def test_a_dense_samplers_range_follows_the_length_of_its_clips() -> None:
    config = rendered(I3D_DENSE, input={"frames": 16, "frameInterval": 4}).config
    assert sampled(config, "sample_range") == [64, 64, 64]
    assert sampled(rendered(I3D_DENSE, input={"frames": 8}).config, "sample_range") == [16, 16, 16]
    assert sampled(rendered(TSM_DENSE, input={"frames": 16}).config, "sample_range") == [None, None, None]


@pytest.mark.parametrize(
    ("config", "wanted", "train", "val", "test"),
    [
        pytest.param(
            SLOWFAST,
            {"cropSize": 112},
            [(-1, 128), (112, 112)],
            [(-1, 128), 112],
            [(-1, 128), 128],
            id="sizes keep their proportion, and three crops stay as large as the short side",
        ),
        pytest.param(
            SLOWFAST,
            {"shortSide": 320},
            [(-1, 320), (224, 224)],
            [(-1, 320), 224],
            [(-1, 320), 320],
            id="a short side is every stage's",
        ),
        pytest.param(
            SLOWFAST,
            {"shortSide": 120, "cropSize": 112},
            [(-1, 120), (112, 112)],
            [(-1, 120), 112],
            [(-1, 120), 120],
            id="both",
        ),
        pytest.param(
            UNIFORMER,
            {"shortSide": 320},
            [(-1, 320), (224, 224)],
            [(-1, 320), 224],
            [(-1, 224), 224],
            id="a transformer is tested on crops of the one size that it sees",
        ),
        pytest.param(
            TIMESFORMER,
            {"cropSize": 112},
            [(128, 160), 112],
            [(-1, 128), 112],
            [(-1, 112), 112],
            id="a range of short sides scales as one",
        ),
        pytest.param(
            I3D,
            {"cropSize": 64},
            [(-1, 73), 64, (64, 64)],
            [(-1, 73), 64],
            [(-1, 73), 73],
            id="to the nearest pixel, in every transform that has one",
        ),
        pytest.param(
            TPN,
            {"cropSize": 112},
            [(112, 112)],
            [(-1, 128), 112],
            [(-1, 128), 128],
            id="a training that crops the video as it is has no short side",
        ),
    ],
)
def test_sizes(config: str, wanted: dict[str, int], train: list[Any], val: list[Any], test: list[Any]) -> None:
    result = rendered(config, input=wanted).config
    assert [sizes(result, stage) for stage in STAGES] == [train, val, test]


@pytest.mark.parametrize(
    ("config", "wanted", "told"),
    [
        (C3D, {"cropSize": 64}, {"backbone.out_dim": 512 * 3 * 3}),
        (C3D, {"frames": 32}, {"backbone.out_dim": 512 * 2 * 4 * 4}),
        (TSM, {"frames": 4}, {"backbone.num_segments": 4, "cls_head.num_segments": 4}),
        (TRN, {"frames": 5}, {"cls_head.num_segments": 5}),
        (TANET, {"frames": 4}, {"backbone.num_segments": 4, "cls_head.num_segments": 4}),
        (
            TPN_TSM,
            {"frames": 4},
            {"backbone.num_segments": 4, "neck.temporal_modulation_cfg.downsample_scales": (4, 4)},
        ),
        (TPN, {"frames": 16}, {"neck.temporal_modulation_cfg.downsample_scales": (16, 16)}),
        (TIMESFORMER, {"frames": 4}, {"backbone.num_frames": 4, "backbone.img_size": 224}),
        (MVIT, {"cropSize": 64}, {"backbone.spatial_size": 64, "backbone.temporal_size": None}),
    ],
)
def test_a_model_is_told_of_what_changed(config: str, wanted: dict[str, int], told: dict[str, Any]) -> None:
    model = rendered(config, input=wanted).config["model"]
    assert {path: tree.get(model, path) for path in told} == told


@pytest.mark.parametrize("config", [SLOWFAST, CSN, I3D, SWIN])
def test_a_model_that_takes_any_size_is_left_alone(config: str) -> None:
    smaller = rendered(config, input={"frames": 16, "cropSize": 96})
    assert tree.same(smaller.config["model"], rendered(config).config["model"])


@pytest.mark.parametrize("config", [SLOWFAST, TSM, TIMESFORMER, MVIT, C3D, TPN_TSM])
def test_the_recipes_own_input_changes_nothing(config: str) -> None:
    plain = rendered(config)
    crop = plain.val_protocol.crop_size
    assert rendered(config, input={"cropSize": crop}).text == plain.text


@pytest.mark.parametrize(
    ("config", "wanted", "lost"),
    [
        (TIMESFORMER, {"cropSize": 112}, "the position embeddings of TimeSformer"),
        (TIMESFORMER, {"frames": 4}, "the time embeddings of TimeSformer"),
        (UNIFORMER, {"cropSize": 112}, "the position embeddings of UniFormerV2"),
        (MVIT, {"frames": 8}, "the relative position embeddings of MViT"),
        (C3D, {"cropSize": 64}, "the first linear layer of C3D"),
        (TRN, {"frames": 4}, "the relation modules of TRNHead"),
    ],
)
def test_weights_of_a_checkpoint_that_do_not_fit_are_announced(config: str, wanted: Any, lost: str) -> None:
    loaded, random = (rendered(config, input=wanted, pretrained=start).warnings for start in ("zoo", "none"))
    assert [warning for warning in loaded if f"{lost} do not fit" in warning]
    assert not [warning for warning in random if "do not fit" in warning]


@pytest.mark.parametrize(
    ("config", "wanted", "field", "accepted"),
    [
        (TIMESFORMER, {"cropSize": 100}, "cropSize", "multiples of 16, TimeSformer's patch_size"),
        (UNIFORMER, {"cropSize": 120}, "cropSize", "multiples of 16, UniFormerV2's patch_size"),
        (SLOWFAST, {"frames": 12}, "frames", "multiples of 8, ResNet3dSlowFast's resample_rate"),
        (SLOWFAST_8X8, {"frames": 6}, "frames", "multiples of 4, ResNet3dSlowFast's resample_rate"),
        (C3D, {"frames": 8}, "frames", "16 to 256 for C3D"),
        (I3D, {"frames": 4}, "frames", "5 to 256 for ResNet3d"),
        (TANET, {"frames": 2}, "frames", "3 to 256 for TANet"),
        (TRN, {"frames": 32}, "frames", "2 to 16 for TRNHead"),
        (TSM_DENSE, {"frames": 65}, "frames", "1 to 64"),
        (TIMM, {"cropSize": 112}, "cropSize", "224: timm.swin_base_patch4_window7_224 has no other"),
        (SLOWFAST, {"shortSide": 200}, "shortSide", "the crop, 224, or more"),
        (SLOWFAST, {"cropSize": 112, "shortSide": 100}, "shortSide", "the crop, 112, or more"),
        (UNIFORMER, {"frameInterval": 2}, "frameInterval", None),
        (TSM, {"frameInterval": 2}, "frameInterval", None),
    ],
)
def test_what_a_model_cannot_take_is_refused(config: str, wanted: Any, field: str, accepted: str | None) -> None:
    with pytest.raises(ConfigFailure) as refusal:
        rendered(config, input=wanted)
    assert refusal.value.where == f"spec.input.{field}"
    assert refusal.value.accepted.startswith(accepted) if accepted else refusal.value.do == "Leave it out."
