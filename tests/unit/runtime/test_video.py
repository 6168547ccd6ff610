"""Frames are those that MMAction2 decodes, byte for byte, and each is decoded once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmaction.datasets.transforms import DecordDecode as StockDecode
from mmaction.registry import TRANSFORMS

from mmaction_trainer.runtime.video import DecordDecode

CLIPS = sorted((Path(__file__).parents[2] / "data" / "clips").iterdir())
SAMPLERS = {
    "10 clips": {"type": "SampleFrames", "clip_len": 32, "frame_interval": 2, "num_clips": 10},
    "10 sparse clips": {"type": "SampleFrames", "clip_len": 8, "frame_interval": 8, "num_clips": 10},
    "dense": {"type": "DenseSampleFrames", "clip_len": 1, "frame_interval": 1, "num_clips": 8},
    "uniform": {"type": "UniformSample", "clip_len": 8, "num_clips": 4},
}


def sampled(clip: Path, sampler: dict[str, Any]) -> dict[str, Any]:
    """A test sample that is about to be decoded."""
    results = {"filename": str(clip), "start_index": 0, "modality": "RGB"}
    for transform in ({"type": "DecordInit"}, {**sampler, "test_mode": True}):
        results = TRANSFORMS.build(transform).transform(results)
    return results


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.name)
def test_frames_are_those_of_mmaction2s_own_transform(clip: Path, sampler: dict[str, Any]) -> None:
    theirs = StockDecode().transform(sampled(clip, sampler))
    found = DecordDecode().transform(sampled(clip, sampler))
    assert found["img_shape"] == theirs["img_shape"]
    assert np.array_equal(found["imgs"], theirs["imgs"])


class Asked:
    """A video that notes the frames it is asked for."""

    def __init__(self, video: Any) -> None:
        self.video = video
        self.frames: list[int] = []

    def read(self, numbers: list[int]) -> Any:
        self.frames += numbers
        return self.video.read(numbers)


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_a_frame_is_asked_for_once_and_in_the_order_of_the_video(sampler: dict[str, Any]) -> None:
    results = sampled(CLIPS[0], sampler)
    asked = results["video_reader"] = Asked(results["video_reader"])
    wanted = set(results["frame_inds"].flatten().tolist())
    DecordDecode().transform(results)
    assert asked.frames == sorted(wanted)


def test_a_frame_of_two_clips_is_one_picture_that_neither_may_change() -> None:
    results = sampled(CLIPS[0], SAMPLERS["10 clips"])
    numbers = results["frame_inds"].flatten().tolist()
    assert len(set(numbers)) < len(numbers), "clips overlap"
    imgs = DecordDecode().transform(results)["imgs"]
    assert len({id(frame) for frame in imgs}) == len(set(numbers))
    for number, frame in zip(numbers, imgs, strict=True):
        assert frame.flags.writeable == (numbers.count(number) == 1)
