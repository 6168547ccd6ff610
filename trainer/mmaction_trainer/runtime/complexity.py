"""How large the tested model is, what one view of a video costs it, and how fast it is."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import torch

from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.result import Complexity

from .speed import speed_of


def record(runner: Any, views: int) -> None:
    """Write the tested model's complexity into the run directory, from the first video of the test.

    Nothing is raised: a network whose operations cannot be counted is tested all the same.

    Args:
        views: of a video, by the test protocol.
    """
    from mmengine.dataset import pseudo_collate

    path = Path(layout.COMPLEXITY)
    try:
        model = getattr(runner.model, "module", runner.model).eval()
        batch = pseudo_collate([runner.test_dataloader.dataset[0]])
        video = model.data_preprocessor(batch, training=False)
        inputs = video["inputs"]  # (1, views or segments of all, C, [T,] H, W)
        view = inputs[:, : max(1, inputs.shape[1] // views)]
        counted = complexity_of(model, view, views)
        counted.write(path)
        speed = speed_of(model, view, video["data_samples"], amp=runner.test_loop.fp16)
        counted.model_copy(update={"speed": speed}).write(path)
    except Exception:
        traceback.print_exc()
        print("warning: the model's size or speed could not be measured, see above", flush=True)


def complexity_of(model: Any, view: torch.Tensor, views: int) -> Complexity:
    """Parameters of the whole model, and FLOPs of one view.

    FLOPs are multiply-adds of the features, without the head, as MMAction2's get_flops.py counts them; what torch fuses
    (attention, depending on its version) is not counted.
    """
    from mmengine.analysis import get_model_complexity_info

    forward = model.forward
    model.forward = model.extract_feat
    try:
        with torch.no_grad():
            found = get_model_complexity_info(model, inputs=(view,), show_table=False, show_arch=False)
    finally:
        model.forward = forward
    return Complexity(parameters=int(found["params"]), flops_per_view=int(found["flops"]), views=views)
