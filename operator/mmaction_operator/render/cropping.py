"""How a pipeline scales and crops: the short side that a video is resized to, then a crop of that.

A resize that keeps the ratio sets the short side; every other size in a pipeline is the crop, with one exception.
MMAction2 tests its convolutional models on three crops as large as the short side (trained on 224, tested on 256):
there the crop follows the short side, and ``ThreeCrop`` asserts that it does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .tree import Config

CROPS = {"CenterCrop": 1, "ThreeCrop": 3, "TenCrop": 10}
NAMES = {crops: name for name, crops in CROPS.items()}


@dataclass(frozen=True)
class Frame:
    """Sizes in pixels: the short side of the scaled video (None where a pipeline crops it as it is), and the crop."""

    short_side: int | None
    crop_size: int


def frame(pipeline: list[Config]) -> Frame | None:
    """The sizes of a pipeline; None if it does not crop. A range of short sides counts with its lower end."""
    short = next((side for transform in pipeline if (side := _short_side(transform))), None)
    crop = next((size for transform in reversed(pipeline) if (size := _crop_size(transform))), None)
    return Frame(short, crop) if crop else None


def crops(pipeline: list[Config]) -> int:
    """Crops of a clip."""
    return next((CROPS[transform["type"]] for transform in pipeline if transform["type"] in CROPS), 1)


def resized(pipeline: list[Config], recipe: int, wanted: int, short_side: int | None) -> list[Config]:
    """The pipeline with other sizes.

    Args:
        pipeline: of any stage.
        recipe: crop of the recipe's training.
        wanted: crop of this job's training.
        short_side: the one that the job names, for every stage; None if each keeps its own in proportion.
    """
    own = frame(pipeline)
    if own is None:
        return pipeline
    if crops(pipeline) == CROPS["ThreeCrop"] and own.crop_size == recipe:
        return with_sizes(pipeline, Frame(wanted, wanted))
    short = short_side or scaled(own.short_side or 0, recipe, wanted)
    follows_short_side = crops(pipeline) == CROPS["ThreeCrop"]
    return with_sizes(pipeline, Frame(short, short if follows_short_side else wanted))


def with_sizes(pipeline: list[Config], sizes: Frame) -> list[Config]:
    """The pipeline with every short side and every crop set."""
    side, crop = sizes.short_side, sizes.crop_size
    return [_with_crop(_with_short_side(transform, side) if side else transform, crop) for transform in pipeline]


def with_crops(pipeline: list[Config], number: int, sizes: Frame) -> list[Config]:
    """The pipeline with 1, 3 or 10 crops of each clip, of these sizes."""
    changed = [
        {"type": NAMES[number], "crop_size": sizes.crop_size} if transform["type"] in CROPS else transform
        for transform in pipeline
    ]
    return with_sizes(changed, sizes)


def scaled(size: int, recipe: int, wanted: int) -> int:
    """A size in proportion, to the nearest pixel."""
    return (2 * size * wanted + recipe) // (2 * recipe)


def _short_side(transform: Config) -> int | None:
    if transform["type"] == "RandomRescale":
        return min(_pixels(transform.get("scale_range")), default=None)
    return max(_pixels(transform["scale"])) if _keeps_ratio(transform) else None


def _with_short_side(transform: Config, side: int) -> Config:
    if transform["type"] == "RandomRescale":
        low, high = transform["scale_range"]
        return {**transform, "scale_range": (side, max(side + 1, scaled(high, low, side)))}
    if _keeps_ratio(transform):
        return {**transform, "scale": (-1, side)}
    return transform


def _keeps_ratio(transform: Config) -> bool:
    """Whether it is a resize to a short side, which MMAction2 writes (-1, side)."""
    return transform["type"] == "Resize" and min(_pixels(transform.get("scale")), default=0) == -1


def _crop_size(transform: Config) -> int | None:
    key = CROP_KEYS.get(transform["type"])
    return None if key is None or _keeps_ratio(transform) else next(iter(_pixels(transform.get(key))), None)


def _with_crop(transform: Config, size: int) -> Config:
    key = CROP_KEYS.get(transform["type"])
    if key is None or _keeps_ratio(transform):
        return transform
    return {**transform, key: (size, size) if transform["type"] == "Resize" else size}


def _pixels(value: Any) -> tuple[int, ...]:
    """A size or a pair of them; nothing if it is neither."""
    sizes = tuple(value) if isinstance(value, list | tuple) else (value,)
    return sizes if all(isinstance(size, int) and not isinstance(size, bool) for size in sizes) else ()


CROP_KEYS = {
    "Resize": "scale",
    "RandomCrop": "size",
    "MultiScaleCrop": "input_size",
    **dict.fromkeys(CROPS, "crop_size"),
}
