"""``spec.trackers``: what tells TensorBoard, W&B and MLflow of a training, beside MMEngine's own record.

All of them are backends of MMEngine's visualizer, which rank 0 alone tells. Where W&B and MLflow are, and as whom to
report there, is no part of a config: their own environment says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmaction_trainer.contract.errors import ConfigFailure
from mmaction_trainer.contract.run import TENSORBOARD, Tracker

from ..api.trainjob import Metadata
from . import tree
from .draft import Draft
from .plain import field
from .tree import Config

BACKENDS = "visualizer.vis_backends"
STOCK: Mapping[Tracker, str] = {
    "tensorboard": "TensorboardVisBackend",
    "wandb": "WandbVisBackend",
    "mlflow": "MLflowVisBackend",
}
"""MMEngine's own backends, which overrides may name."""


def apply(draft: Draft, trackers: Sequence[Tracker]) -> Draft:
    """The draft with names and steps that can be told apart: train/loss and val/acc/top1, both over the iterations.

    MMEngine's own are loss, acc/top1 and time of both stages alike, counted in iterations or in epochs.
    """
    if not trackers:
        return draft
    return draft.put("log_processor.log_with_hierarchy", True).put("default_hooks.logger.log_metric_by_epoch", False)


def settle(draft: Draft, trackers: Sequence[Tracker], job: Metadata) -> Draft:
    """The draft with its trackers beside the backends that it has, once overrides are in.

    Raises:
        ConfigFailure: overrides name the backend of a tool that is a tracker too.
    """
    if not trackers:
        return draft
    backends = draft.get(BACKENDS)
    present = {backend["type"] for backend in backends}
    for tracker in trackers:
        if STOCK[tracker] in present:
            raise ConfigFailure(
                field(tree.parts(BACKENDS)),
                f"{STOCK[tracker]} stands there, and {tracker} in spec.trackers",
                do="Keep one of them.",
            )
    return draft.put(BACKENDS, [*backends, *(_backend(tracker, job) for tracker in trackers)])


def _backend(tracker: Tracker, job: Metadata) -> Config:
    """The backend that tells a tracker of a job. Those of W&B and MLflow are ours, see ``runtime.trackers``."""
    match tracker:
        case "tensorboard":
            return {"type": STOCK[tracker], "save_dir": TENSORBOARD}
        case "wandb":
            return {"type": "WandbTracker", "project": job.namespace, "run": job.name}
        case "mlflow":
            return {"type": "MLflowTracker", "experiment": job.namespace, "run": job.name}
