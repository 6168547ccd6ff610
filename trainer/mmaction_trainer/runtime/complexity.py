"""How large the tested model is, and what one view of a video costs it."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import torch

from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.result import Complexity


def record(runner: Any, views: int) -> None:
    """Have rank 0 write the model's complexity into the run directory.

    Nothing is raised: a network whose operations cannot be counted is tested all the same.

    Args:
        views: of a video, by the test protocol.
    """
    if torch.distributed.get_rank():
        return
    try:
        complexity_of(runner, views).write(Path(layout.COMPLEXITY))
    except Exception:
        traceback.print_exc()
        print("warning: parameters and FLOPs could not be counted, see above", flush=True)


def complexity_of(runner: Any, views: int) -> Complexity:
    """Parameters of the whole model, and FLOPs of one view of the first video of the test.

    FLOPs are multiply-adds of the features, without the head, as MMAction2's get_flops.py counts them; what torch fuses
    (attention, depending on its version) is not counted.
    """
    from mmengine.analysis import get_model_complexity_info
    from mmengine.dataset import pseudo_collate

    model = getattr(runner.model, "module", runner.model)
    batch = pseudo_collate([runner.test_dataloader.dataset[0]])
    inputs = model.data_preprocessor(batch, training=False)["inputs"]  # (1, views or segments of all, C, [T,] H, W)
    view = inputs[:, : max(1, inputs.shape[1] // views)]
    forward, training = model.forward, model.training
    model.eval()
    model.forward = model.extract_feat
    try:
        with torch.no_grad():
            found = get_model_complexity_info(model, inputs=(view,), show_table=False, show_arch=False)
    finally:
        model.forward = forward
        model.train(training)
    return Complexity(parameters=int(found["params"]), flops_per_view=int(found["flops"]), views=views)
