"""Inputs travel as their pictures, and are what MMAction2's transforms give, byte for byte."""

from __future__ import annotations

import itertools
import random
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import torch
from mmaction.registry import TRANSFORMS
from torch.utils.data import DataLoader, Dataset

from mmaction_operator import zoo
from mmaction_trainer.contract.errors import ConfigFailure
from mmaction_trainer.runtime.views import Views, views_of
from tests.unit.render.jobs import rendered

HEIGHT, WIDTH = 60, 80
Step = dict[str, Any]


def pictures(count: int, height: int = HEIGHT, width: int = WIDTH) -> list[Any]:
    shape = (height, width, 3)
    return [np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8) for number in range(count)]


def of_clips(distinct: list[Any], places: list[int]) -> list[Any]:
    """Frames as our decoder gives them: those in several places are one read-only picture."""
    for place, picture in enumerate(distinct):
        picture.flags.writeable = places.count(place) == 1
    return [distinct[place] for place in places]


def a_sample(frames: list[Any], clips: int) -> dict[str, Any]:
    shape = frames[0].shape[:2]
    length = len(frames) // clips
    about = {
        "num_clips": clips,
        "clip_len": length,
        "modality": "RGB",
        "label": 1,
        "frame_inds": np.arange(len(frames)),
    }
    return {**about, "imgs": frames, "img_shape": shape, "original_shape": shape}


@pytest.fixture(scope="module")
def changes() -> list[Step]:
    """What the zoo's pipelines do with colour pictures between decoding and packing, each once."""
    found = {}
    for name in zoo.names():
        with suppress(ConfigFailure):
            config = rendered(name).config
            steps = itertools.chain.from_iterable(config[f"{stage}_pipeline"] for stage in ("train", "val", "test"))
            found.update({str(step): step for step in steps})
    changed = [step for step in found.values() if not step["type"].endswith(("Init", "Decode", "Frames", "Sample"))]
    return [step for step in changed if step["type"] not in ("FormatShape", "PackActionInputs")]


def test_pictures_that_clips_share_are_changed_as_if_each_had_its_own(changes: list[Step]) -> None:
    assert {"Resize", "Flip", "ThreeCrop", "RandomErasing"} <= {step["type"] for step in changes}
    for step in changes:
        size = step.get("crop_size") or step.get("size", HEIGHT)
        always = {"Flip": {"flip_ratio": 1.0}, "RandomErasing": {"erase_prob": 1.0}}
        transform = TRANSFORMS.build({**step, **always.get(step["type"], {})})
        shared = of_clips(pictures(3, size, size + 20), [0, 1, 0, 2, 1, 0])
        own = [frame.copy() for frame in shared]
        found = [changed(one, frames) for one, frames in ((transform, shared), (as_stock(transform), own))]
        assert np.array_equal(*found), step


def changed(transform: Any, frames: list[Any]) -> Any:
    """What a transform makes of two clips, by the same random numbers each time."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    return transform.transform(a_sample(frames, clips=2))["imgs"]


def as_stock(transform: Any) -> Any:
    """The same with MMAction2's own methods."""
    kind = type(transform)
    made = object.__new__(kind if kind.__module__.startswith("mmaction.") else kind.__bases__[0])
    made.__dict__.update(transform.__dict__)
    return made


class Sample(Dataset[Any]):
    """A data set of one sample, which transforms make."""

    def __init__(self, frames: list[Any], clips: int, transforms: list[Any]) -> None:
        self.frames, self.clips, self.transforms = frames, clips, transforms

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Any:
        results = a_sample(list(self.frames), self.clips)
        for transform in self.transforms:
            results = transform.transform(results)
        return results


def loaded(sample: Sample, workers: int = 1) -> Any:
    """A sample as it leaves a loader."""
    (found,) = DataLoader(sample, batch_size=None, collate_fn=lambda one: one, num_workers=workers)
    return found


PACKED = {"type": "PackActionInputs"}
CROPS: dict[str, list[Step]] = {
    "three crops": [{"type": "Resize", "scale": (-1, 32)}, {"type": "ThreeCrop", "crop_size": 32}],
    "ten crops": [{"type": "Resize", "scale": (-1, 32)}, {"type": "TenCrop", "crop_size": 24}],
    "of its size": [
        {"type": "Resize", "scale": (-1, HEIGHT)},
        {"type": "ThreeCrop", "crop_size": HEIGHT},
    ],
    "resized and flipped": [{"type": "Resize", "scale": (-1, HEIGHT)}, {"type": "Flip", "flip_ratio": 1}],
    "a crop": [{"type": "Resize", "scale": (-1, 32)}, {"type": "CenterCrop", "crop_size": 32}],
    "flipped": [{"type": "CenterCrop", "crop_size": 32}, {"type": "Flip", "flip_ratio": 1}],
    "as decoded": [],
}


@pytest.mark.parametrize("layout", ["NCTHW", "NCHW"])
@pytest.mark.parametrize("crops", CROPS.values(), ids=CROPS)
def test_a_loader_gives_what_mmaction2_gives(crops: list[Step], layout: str) -> None:
    transforms = [TRANSFORMS.build(step) for step in (*crops, {"type": "FormatShape", "input_format": layout}, PACKED)]
    frames = of_clips(pictures(5), [0, 1, 2, 3, 1, 2, 3, 4])
    found = loaded(Sample(frames, 2, transforms))
    theirs = Sample([frame.copy() for frame in frames], 2, [as_stock(one) for one in transforms])[0]
    assert isinstance(found["inputs"], Views)
    assert torch.equal(found["inputs"].to("cpu"), theirs["inputs"])
    assert found["data_samples"].gt_label == theirs["data_samples"].gt_label
    assert not isinstance(loaded(Sample(frames, 2, transforms), workers=0)["inputs"], Views), "none without a loader"


def test_a_picture_of_many_views_is_sent_once() -> None:
    steps = [*CROPS["three crops"], {"type": "FormatShape", "input_format": "NCTHW"}, PACKED]
    frames = of_clips(pictures(5), [0, 1, 2, 3, 1, 2, 3, 4])
    views = loaded(Sample(frames, 2, [TRANSFORMS.build(step) for step in steps]))["inputs"]
    assert views.pictures.shape == (5, 32, 43, 3)
    assert views.pictures.is_shared()
    assert views.to("cpu").shape == (6, 3, 4, 32, 32)


def test_pictures_are_sent_as_they_are_cut_where_that_is_less() -> None:
    frames = [picture[10:20, 5:25] for picture in pictures(4)]
    views = views_of(frames, 2, "NCTHW")
    assert views.pictures.shape == (4, 10, 20, 3)
    assert np.array_equal(views.to("cpu"), np.array(frames).reshape(2, 2, 10, 20, 3).transpose(0, 4, 1, 2, 3))


def test_pictures_of_another_kind_are_left_to_mmaction2() -> None:
    transforms = [TRANSFORMS.build(step) for step in ({"type": "FormatShape", "input_format": "NCTHW"}, PACKED)]
    for frames in (
        [picture.astype(np.float32) for picture in pictures(4)],
        [picture[:, :, :1] for picture in pictures(4)],
    ):
        found = loaded(Sample(frames, 2, transforms))["inputs"]
        assert np.array_equal(found, np.array(frames).reshape(2, 2, *frames[0].shape).transpose(0, 4, 1, 2, 3))
