"""MMAction2 runs the rendered pipelines, and sees as many views of a video as the protocols say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mmengine.registry import init_default_scope

from mmaction_operator.render import Rendered, tree
from mmaction_operator.render.families import PARTS, PLACES
from mmaction_operator.render.sampling import sampler
from mmaction_trainer.runtime import compat

from .jobs import rendered
from .test_whole_zoo import TRAINABLE

compat.apply()
import mmaction.datasets  # noqa: E402, F401  (registers them)
from mmaction.registry import TRANSFORMS  # noqa: E402

READING = ("DecordInit", "DecordDecode", "RawFrameDecode")


def seen(result: Rendered, stage: str) -> tuple[int, ...]:
    """Shape of what a stage's pipeline makes of a video of 90 frames, 60 x 80 pixels, in random colours."""
    init_default_scope("mmaction")
    flow = tree.get(result.config, "train_dataloader.dataset.modality") == "Flow"
    steps = [step for step in result.config[f"{stage}_pipeline"] if step["type"] not in READING]
    sample, *rest = [TRANSFORMS.build(step) for step in steps]
    data = sample({"total_frames": 90, "start_index": 0, "label": 1, "modality": "Flow" if flow else "RGB"})
    shape = (len(data["frame_inds"]), 60, 80, 2 if flow else 3)
    data["imgs"] = list(np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8))
    data["original_shape"] = data["img_shape"] = (60, 80)
    for transform in rest:
        data = transform(data)
    return tuple(data["inputs"].shape)


@pytest.mark.parametrize("name", TRAINABLE)
def test_every_stage_runs_and_its_views_are_the_protocols(name: str) -> None:
    fixed = any(part.only_crop for part in map(PARTS.get, types(rendered(name).config["model"])) if part)
    result = rendered(name, input={} if fixed else {"cropSize": 32})
    crop = rendered(name).val_protocol.crop_size if fixed else 32
    train = seen(result, "train")
    assert train[-2:] == (crop, crop)
    for stage, protocol in (("val", result.val_protocol), ("test", result.test_protocol)):
        shape = seen(result, stage)
        assert shape[0] == protocol.clips * protocol.crops * rows_of_a_clip(result, train)
        assert shape[-2:] == (protocol.crop_size, protocol.crop_size)


def rows_of_a_clip(result: Rendered, train: tuple[int, ...]) -> int:
    """First dimension of one clip: 1 where frames are a dimension of their own, else a clip's frames or segments."""
    joined = any(PARTS[name].segments for name in types(result.config["model"]))
    clips = 1 if joined else sampler(result.config["train_pipeline"]).num_clips
    return train[0] // clips


def types(model: dict[str, Any]) -> list[str]:
    return [model[place]["type"] for place in PLACES if model.get(place)]
