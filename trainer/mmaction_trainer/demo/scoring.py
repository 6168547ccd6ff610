"""A video's scores by the pipeline and the model of a config, as the test stage has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mmaction_trainer import runtime  # noqa: F401  (patches first, then its transforms)


def device() -> str:
    """A GPU where torch finds one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def scores_of(video: Path, config_file: Path, checkpoint: Path) -> npt.NDArray[np.float32]:
    """(classes,), averaged over all views of the test protocol."""
    from mmaction.apis import inference_recognizer, init_recognizer
    from mmengine.config import Config
    from mmengine.dataset import Compose
    from mmengine.runner.amp import autocast

    config: Any = Config.fromfile(config_file)
    model = init_recognizer(config, str(checkpoint), device())
    pipeline = Compose(config.test_dataloader.dataset.pipeline)
    sample = {"filename": str(video), "label": -1, "start_index": 0, "modality": "RGB"}
    with autocast(enabled=config.test_cfg.get("fp16", False)):
        found = inference_recognizer(model, sample, pipeline)
    scores: npt.NDArray[np.float32] = found.pred_score.float().cpu().numpy()
    return scores
