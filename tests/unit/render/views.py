"""What MMAction2's pipelines make of a video, without a file that is decoded."""

from __future__ import annotations

import numpy as np
import torch
from mmengine.registry import init_default_scope

from mmaction_operator.render import Rendered, tree
from mmaction_trainer.runtime import compat

compat.apply()
import mmaction.datasets  # noqa: E402, F401  (registers them)
from mmaction.registry import TRANSFORMS  # noqa: E402

READING = ("DecordInit", "DecordDecode", "RawFrameDecode")


def inputs(result: Rendered, stage: str) -> torch.Tensor:
    """What a stage's pipeline makes of a video of 90 frames, 60 x 80 pixels, in random colours."""
    init_default_scope("mmaction")
    flow = tree.get(result.config, "test_dataloader.dataset.modality") == "Flow"
    steps = [step for step in result.config[f"{stage}_pipeline"] if step["type"] not in READING]
    sample, *rest = [TRANSFORMS.build(step) for step in steps]
    sampled = {"total_frames": 90, "avg_fps": 30.0, "start_index": 0, "label": 1}
    data = sample(sampled | {"modality": "Flow" if flow else "RGB"})
    shape = (len(data["frame_inds"]), 60, 80, 2 if flow else 3)
    data["imgs"] = list(np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8))
    data["original_shape"] = data["img_shape"] = (60, 80)
    for transform in rest:
        data = transform(data)
    found: torch.Tensor = data["inputs"]
    return found
