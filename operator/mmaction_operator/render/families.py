"""What the renderer knows of each model: one row for each backbone, neck and head that cares about its input or loads
weights by itself. To teach it a new one, add a row to ``PARTS``.

Where the numbers come from: the classes of MMAction2 1.2.0, and building and running each of them (the tests do).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mmaction_trainer.contract.errors import ConfigFailure

from . import tree
from .draft import Draft
from .tree import Config

ABSENT: Final = object()
"""In ``Part.unloaded``: the key is taken out, so that the class's own default applies."""

Sizes = Callable[[int, int], Mapping[str, Any]]


@dataclass(frozen=True)
class Part:
    """A class that a config names as backbone, neck or head.

    Attributes:
        unloaded: keys of its config, and the values with which it starts from random weights and fetches nothing.
        sizes: (frames, crop in pixels) -> keys that tell it the size of its input. None if it takes any size.
        min_frames, max_frames: frames of a clip that it works with.
        frames_of: its key whose value divides the number of frames.
        crop_of: its key whose value divides the crop.
        only_crop: the one crop that it works with, where it is built for one.
        one_crop: it sees the same crop in training and in tests; the others are tested on whole short sides.
        segments: its frames are the segments of one clip, so ``num_clips`` of the sampler has to equal them.
        sized_weights: key of ``sizes`` -> its weights that fit one value of that key alone, in words.
        needs: what it takes that the stock trainer image does not have, in words.
        imported: the module that has it, where MMAction2 does not import that by itself; see ``runtime.compat``.
    """

    unloaded: Mapping[str, Any] = field(default_factory=dict)
    sizes: Sizes | None = None
    min_frames: int = 1
    max_frames: int = 256
    frames_of: str = ""
    crop_of: str = ""
    only_crop: int | None = None
    one_crop: bool = False
    segments: bool = False
    sized_weights: Mapping[str, str] = field(default_factory=dict)
    needs: str = ""
    imported: str = ""


def _c3d_sizes(frames: int, crop: int) -> Mapping[str, Any]:
    """Input of C3D's first linear layer: 512 channels after five poolings, the last one padded in space."""
    halved = crop // 2 // 2 // 2 // 2
    side = halved // 2 + 1
    return {"out_dim": 512 * (frames // 16) * side * side}


PLAIN = {"pretrained": None}
INFLATED = {"pretrained": None, "pretrained2d": False}
POSITIONS, RELATIVE = "the position embeddings", "the relative position embeddings"

PARTS: Mapping[str, Part] = {
    # Convolutions over frames
    "C2D": Part(PLAIN, min_frames=2),
    "C3D": Part(
        PLAIN, sizes=_c3d_sizes, min_frames=16, one_crop=True, sized_weights={"out_dim": "the first linear layer"}
    ),
    "ResNet2Plus1d": Part(PLAIN),
    "ResNet3d": Part(PLAIN, min_frames=5),
    "ResNet3dCSN": Part(PLAIN),
    "ResNet3dSlowFast": Part(PLAIN, frames_of="resample_rate"),
    "ResNet3dSlowOnly": Part(PLAIN),
    "X3D": Part(PLAIN),
    # Convolutions over single frames
    "ResNet": Part(PLAIN),
    "torchvision.densenet161": Part({"pretrained": False}),
    "mmpretrain.MobileOne": Part({"init_cfg": ABSENT}),
    "mmpretrain.ResNeXt": Part({"init_cfg": ABSENT}),
    # ... that exchange features between segments
    "MobileNetV2TSM": Part(INFLATED, sizes=lambda frames, _: {"num_segments": frames}, segments=True),
    "MobileOneTSM": Part(
        {"pretrained2d": False, "init_cfg": ABSENT},
        sizes=lambda frames, _: {"num_segments": frames},
        segments=True,
        imported="mmaction.models.backbones.mobileone_tsm",
    ),
    "ResNetTIN": Part(
        INFLATED,
        sizes=lambda frames, _: {"num_segments": frames},
        segments=True,
        sized_weights={"num_segments": "the offset networks"},
        needs="mmcv's CUDA operator tin_shift",
    ),
    "ResNetTSM": Part(INFLATED, sizes=lambda frames, _: {"num_segments": frames}, segments=True),
    "TANet": Part(
        PLAIN,
        sizes=lambda frames, _: {"num_segments": frames},
        min_frames=3,
        segments=True,
        sized_weights={"num_segments": "the temporal adaptive modules"},
    ),
    # Transformers
    "MViT": Part(
        {"pretrained": None, "pretrained_type": None, "init_cfg": ABSENT},
        sizes=lambda frames, crop: {"temporal_size": frames, "spatial_size": crop},
        one_crop=True,
        sized_weights={"temporal_size": RELATIVE, "spatial_size": RELATIVE},
    ),
    "SwinTransformer3D": Part(INFLATED),
    "TimeSformer": Part(
        PLAIN,
        sizes=lambda frames, crop: {"num_frames": frames, "img_size": crop},
        crop_of="patch_size",
        one_crop=True,
        sized_weights={"num_frames": "the time embeddings", "img_size": POSITIONS},
    ),
    "UniFormer": Part(INFLATED),
    "UniFormerV2": Part(
        {"pretrained": None, "clip_pretrained": False, "init_cfg": ABSENT},
        sizes=lambda frames, crop: {"t_size": frames, "input_resolution": crop},
        crop_of="patch_size",
        one_crop=True,
        sized_weights={"input_resolution": POSITIONS},
    ),
    # Its position embeddings are stretched to another crop, and hold for one number of frames.
    "VisionTransformer": Part(
        PLAIN,
        sizes=lambda frames, _: {"num_frames": frames},
        min_frames=2,
        one_crop=True,
        sized_weights={"num_frames": POSITIONS},
    ),
    "timm.swin_base_patch4_window7_224": Part({"pretrained": False}, only_crop=224, one_crop=True),
    # Necks
    "TPN": Part(sizes=lambda frames, _: {"temporal_modulation_cfg.downsample_scales": (frames, frames)}),
    # Heads
    "I3DHead": Part(),
    "MViTHead": Part(),
    "SlowFastHead": Part(),
    "TPNHead": Part(),
    "TRNHead": Part(
        sizes=lambda frames, _: {"num_segments": frames},
        min_frames=2,
        max_frames=16,  # it keeps every subset of the frames
        segments=True,
        sized_weights={"num_segments": "the relation modules"},
    ),
    "TSMHead": Part(sizes=lambda frames, _: {"num_segments": frames}, segments=True),
    "TSNHead": Part(),
    "TimeSformerHead": Part(),
    "UniFormerHead": Part({"init_cfg": ABSENT, "channel_map": ABSENT}),
    "X3DHead": Part(),
}

PLACES = ("backbone", "neck", "cls_head")


def parts(model: Config) -> Mapping[str, Part]:
    """The parts of a model by place: backbone, neck (if it has one) and cls_head.

    Raises:
        ConfigFailure: a part has no row here.
    """
    found = {}
    for place in PLACES:
        if not model.get(place):
            continue
        name = tree.get(model, f"{place}.type")
        if name not in PARTS:
            raise ConfigFailure(
                f"spec.overrides.model.{place}.type",
                f"the renderer does not know {name!r}",
                accepted=", ".join(sorted(PARTS)),
            )
        found[place] = PARTS[name]
    return found


def see_to_needs(draft: Draft, *, image: str | None) -> Draft:
    """Say what the job's own image has to have for this model.

    Raises:
        ConfigFailure: it names none, and the stock one does not have it.
    """
    for place, part in parts(draft.get("model")).items():
        if not part.needs:
            continue
        name = draft.get(f"model.{place}.type")
        if image is None:
            raise ConfigFailure(
                "spec.model.config",
                f"{name} needs {part.needs}, which the stock trainer image does not have",
                do="Name an image that has it in spec.pods.image.",
            )
        draft = draft.warn(f"{name} needs {part.needs}: the image {image} has to have it.")
    return draft
