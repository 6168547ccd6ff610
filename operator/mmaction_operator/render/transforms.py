"""Transforms that do not work where this product trains, and what stands in for them."""

from __future__ import annotations

from .draft import Draft
from .tree import Config

READERS = ("DecordInit", "RawFrameDecode")


def apply(draft: Draft) -> Draft:
    """Files are read from disk, and RandAugment comes from torchvision.

    pytorchvideo's last release (0.1.5) does not import with torchvision >= 0.17
    (facebookresearch/pytorchvideo#258), which MMAction2 reports as a missing package. torchvision has the same
    operations under the same name, with its own scale of magnitudes: close to the recipe's, not equal.
    """
    replaced = any(transform["type"] == "PytorchVideoWrapper" for transform in draft.get("train_pipeline"))
    draft = draft.pipelines(lambda pipeline: [_torchvision(_from_disk(transform)) for transform in pipeline])
    if not replaced:
        return draft
    return draft.warn("RandAugment is torchvision's: the recipe's pytorchvideo does not import on current torchvision.")


def _from_disk(transform: Config) -> Config:
    return {**transform, "io_backend": "disk"} if transform["type"] in READERS else transform


def _torchvision(transform: Config) -> Config:
    if transform["type"] != "PytorchVideoWrapper" or transform.get("op") != "RandAugment":
        return transform
    # Defaults of pytorchvideo.transforms.RandAugment.
    operations, magnitude = transform.get("num_layers", 2), transform.get("magnitude", 9)
    return {"type": "TorchVisionWrapper", "op": "RandAugment", "num_ops": operations, "magnitude": magnitude}
