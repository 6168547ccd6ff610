"""How videos are scored: what a pipeline amounts to, and how a job changes it."""

from __future__ import annotations

from typing import Any

import pytest

from mmaction_operator.render import tree
from mmaction_trainer.contract.errors import ConfigFailure

from .jobs import CSN, I3D, MVIT, SLOWFAST, SWIN, TIMESFORMER, TSM, UNIFORMER, rendered

TSN = "tsn_imagenet-pretrained-r50_8xb32-1x1x3-100e_kinetics400-rgb"
TSN_DENSE = "tsn_imagenet-pretrained-r50_8xb32-dense-1x1x5-100e_kinetics400-rgb"
TSM_DENSE = "tsm_imagenet-pretrained-r50_8xb16-dense-1x1x8-50e_kinetics400-rgb"
TSM_TWICE = "tsm_imagenet-pretrained-r50_8xb16-1x1x16-50e_sthv2-rgb"
TRN = "trn_imagenet-pretrained-r50_8xb16-1x1x8-50e_sthv2-rgb"
TPN_TSM = "tpn-tsm_imagenet-pretrained-r50_8xb8-1x1x8-150e_sthv1-rgb"
I3D_DENSE = "i3d_imagenet-pretrained-r50_8xb8-dense-32x2x1-100e_kinetics400-rgb"
C3D = "c3d_sports1m-pretrained_8xb30-16x1x1-45e_ucf101-rgb"
C2D = "c2d_r50-in1k-pre-nopool_8xb32-8x8x1-100e_kinetics400-rgb"


@pytest.mark.parametrize(
    ("config", "val", "test"),
    [
        pytest.param(SLOWFAST, "1x1 256/224", "10x3 256/256", id="the guide's problem 1: same videos, two numbers"),
        pytest.param(TIMESFORMER, "1x1 256/224", "1x3 224/224", id="a transformer sees one size"),
        pytest.param(UNIFORMER, "1x1 224/224", "4x3 224/224", id="uniformly sampled clips count"),
        pytest.param(SWIN, "1x1 256/224", "4x3 224/224", id="swin"),
        pytest.param(C3D, "1x1 128/112", "10x1 128/112", id="centre crops alone"),
        pytest.param(TSN, "3x1 256/224", "25x10 256/224", id="TSN scores every frame by itself"),
        pytest.param(TSN_DENSE, "50x1 256/224", "250x1 256/224", id="and from ten positions if it is dense"),
        pytest.param(TSM, "1x1 256/224", "1x10 256/224", id="TSM's segments are one clip"),
        pytest.param(TSM_DENSE, "10x1 256/224", "10x10 256/224", id="from each of ten positions"),
        pytest.param(TSM_TWICE, "1x1 256/224", "2x3 256/256", id="or sampled twice"),
        pytest.param(TRN, "1x1 256/224", "2x3 256/256", id="TRN's relations are between segments"),
        pytest.param(I3D_DENSE, "10x1 256/224", "10x3 256/256", id="a dense sampler multiplies clips"),
        pytest.param(C2D, "1x1 256/224", "10x3 224/224", id="frames of a clip are not clips"),
    ],
)
def test_the_recipes_protocols(config: str, val: str, test: str) -> None:
    result = rendered(config)
    shown = [f"{p} {p.short_side}/{p.crop_size}" for p in (result.val_protocol, result.test_protocol)]
    assert shown == [val, test]


@pytest.mark.parametrize("config", [SLOWFAST, I3D, CSN, TIMESFORMER, UNIFORMER, SWIN, MVIT, I3D_DENSE, TSM_DENSE, TSN])
@pytest.mark.parametrize("clips", [1, 2, 7])
@pytest.mark.parametrize("crops", [1, 3, 10])
def test_a_job_has_the_protocol_that_it_asks_for(config: str, clips: int, crops: int) -> None:
    plain = rendered(config)
    result = rendered(config, evaluation={"clips": clips, "crops": crops})
    assert str(result.test_protocol) == f"{clips}x{crops}"
    assert result.val_protocol == plain.val_protocol
    for stage in ("train", "val"):
        assert tree.same(result.config[f"{stage}_pipeline"], plain.config[f"{stage}_pipeline"])


@pytest.mark.parametrize(
    ("config", "crops", "expected"),
    [
        pytest.param(SLOWFAST, 1, (256, 224), id="one crop is validation's"),
        pytest.param(SLOWFAST, 10, (256, 224), id="so are ten"),
        pytest.param(TSM, 3, (256, 256), id="three are as large as the short side"),
        pytest.param(C3D, 3, (112, 112), id="or the short side as they, if the model sees one size"),
        pytest.param(MVIT, 3, (224, 224), id="as a transformer does"),
        pytest.param(UNIFORMER, 10, (224, 224), id="of a short side as large as the crop"),
    ],
)
def test_sizes_follow_the_crops(config: str, crops: int, expected: tuple[int, int]) -> None:
    protocol = rendered(config, evaluation={"crops": crops}).test_protocol
    assert (protocol.short_side, protocol.crop_size) == expected


@pytest.mark.parametrize(("clips", "twice"), [(1, False), (2, True)])
@pytest.mark.parametrize("config", [TSM, TRN, TPN_TSM])
def test_segments_that_are_one_clip_can_be_sampled_twice(config: str, clips: int, twice: bool) -> None:
    result = rendered(config, evaluation={"clips": clips})
    sampler = next(step for step in result.config["test_pipeline"] if step["type"] == "SampleFrames")
    assert (sampler["num_clips"], sampler["twice_sample"]) == (8, twice)
    assert result.test_protocol.clips == clips


def test_a_single_segment_is_not_sampled_twice_where_clips_are_counted() -> None:
    assert str(rendered(TSM_TWICE, input={"frames": 1}, evaluation={"clips": 3}).test_protocol) == "3x3"


@pytest.mark.parametrize(
    ("config", "evaluation", "message"),
    [
        (TSM, {"clips": 3}, r"8 segments, .*are one clip; accepted: 1, or 2"),
        (TRN, {"clips": 10}, r"8 segments, .*are one clip; accepted: 1, or 2"),
        (TSN_DENSE, {"clips": 10}, "accepted: multiples of 25"),
    ],
)
def test_clips_that_a_sampler_cannot_take_are_refused(config: str, evaluation: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigFailure, match=rf"^spec\.evaluation\.clips: found .*{message}"):
        rendered(config, evaluation=evaluation)


def test_a_protocol_changed_by_overrides_is_the_one_reported() -> None:
    sampler = next(at for at, step in enumerate(rendered(SLOWFAST).config["test_pipeline"]) if "clip_len" in step)
    result = rendered(SLOWFAST, overrides={f"test_pipeline.{sampler}.num_clips": 5})
    assert str(result.test_protocol) == "5x3"


@pytest.mark.parametrize(
    "pipeline", [[{"type": "DecordInit"}], [], [{"type": "SampleFrames", "clip_len": 8, "num_clips": "x"}]]
)
def test_a_pipeline_without_a_protocol_is_refused(pipeline: list[Any]) -> None:
    with pytest.raises(ConfigFailure, match=r"^spec\.overrides: .*accepted"):
        rendered(SLOWFAST, overrides={"test_pipeline": pipeline})
