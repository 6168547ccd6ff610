"""Transforms that do not work where this product trains, and what stands in for them."""

from __future__ import annotations

from .draft import Draft
from .tree import Config

READERS = ("DecordInit", "RawFrameDecode")


def apply(draft: Draft) -> Draft:
    """Files are read from disk, augmentations that stopped working are torchvision's, and validation has none."""
    used = {transform["type"] for transform in draft.transforms()}
    draft = draft.pipelines(lambda pipeline: [_color_jitter(_rand_augment(_from_disk(step))) for step in pipeline])
    for stage in ("val", "test"):
        draft = draft.pipeline(stage, _as_it_is)
    for name, why in REPLACED.items():
        if name in used:
            draft = draft.warn(f"{why}, so torchvision's takes its place: close to the recipe's, not equal.")
    return draft


REPLACED = {
    "PytorchVideoWrapper": "pytorchvideo's RandAugment does not import with current torchvision",
    "ColorJitter": "MMAction2's ColorJitter fails with numpy 2",
}


def _from_disk(transform: Config) -> Config:
    return {**transform, "io_backend": "disk"} if transform["type"] in READERS else transform


def _rand_augment(transform: Config) -> Config:
    """pytorchvideo's last release (0.1.5) does not import with torchvision >= 0.17, which MMAction2 reports as a
    missing package (facebookresearch/pytorchvideo#258)."""
    if transform["type"] != "PytorchVideoWrapper" or transform.get("op") != "RandAugment":
        return transform
    # Defaults of pytorchvideo.transforms.RandAugment.
    operations, magnitude = transform.get("num_layers", 2), transform.get("magnitude", 9)
    return {"type": "TorchVisionWrapper", "op": "RandAugment", "num_ops": operations, "magnitude": magnitude}


def _color_jitter(transform: Config) -> Config:
    """MMAction2's adds a negative int to uint8, an OverflowError since numpy 2."""
    if transform["type"] != "ColorJitter":
        return transform
    # Defaults of mmaction.datasets.transforms.ColorJitter.
    strengths = {"brightness": 0.5, "contrast": 0.5, "saturation": 0.5, "hue": 0.1}
    given = {key: transform.get(key, default) for key, default in strengths.items()}
    return {"type": "TorchVisionWrapper", "op": "ColorJitter", **given}


def _as_it_is(pipeline: list[Config]) -> list[Config]:
    """Without what TPN's configs do to colours at random in validation: one checkpoint, one score."""
    return [step for step in pipeline if step.get("op") != "ColorJitter"]
