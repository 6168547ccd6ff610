"""Data loaders: this job's lists and videos, its batch size and its workers.

``spec.training.batchSizePerGPU`` is the batch of the first stage that a job has: of training, or of the test alone.
"""

from __future__ import annotations

from typing import Literal

from mmaction_trainer.contract.run import LISTS, VIDEOS

from ..api.spec import TrainingSpec
from .draft import Draft
from .tree import Config, drop

Media = Literal["videos", "frames"]


def media(draft: Draft) -> Media:
    """What the data sets read: video files, or folders of extracted frames."""
    return "frames" if draft.get(f"{draft.stages[0]}_dataloader.dataset.type") == "RawframeDataset" else "videos"


def apply(draft: Draft, training: TrainingSpec) -> Draft:
    """Loaders of the run directory's data, each with its stage's pipeline."""
    prefix = {"img": VIDEOS} if media(draft) == "frames" else {"video": VIDEOS}
    for stage in draft.stages:
        at = f"{stage}_dataloader"
        loader = draft.get(at)
        dataset = {**drop(loader["dataset"], "delimiter"), "ann_file": LISTS[stage], "data_prefix": prefix}
        dataset["pipeline"] = draft.get(f"{stage}_pipeline")
        if training.workers is not None:
            loader = {**loader, "num_workers": training.workers}
        draft = draft.put(at, {**loader, "dataset": dataset})
    if training.batch_size_per_gpu is not None:
        draft = draft.put(f"{draft.stages[0]}_dataloader.batch_size", training.batch_size_per_gpu)
    return draft


def settle(draft: Draft) -> Draft:
    """What follows from the rest, once overrides are in.

    torch refuses ``persistent_workers`` without workers. A model that is tested a few views at a time
    (``max_testing_views``) asserts that it gets one video at a time, in validation too, where MViT-L's configs give
    it eight.
    """
    for stage in draft.stages:
        at = f"{stage}_dataloader"
        draft = draft.put(at, _without_workers(draft.get(at)))
        views = draft.get("model.test_cfg.max_testing_views")
        if stage != "train" and views and draft.get("model.type") == "Recognizer3D":
            draft = draft.put(f"{at}.batch_size", 1)
        draft = draft.put(f"{stage}_pipeline", draft.get(f"{at}.dataset.pipeline"))
    return draft


def _without_workers(loader: Config) -> Config:
    if loader.get("num_workers", 0):
        return loader
    return {key: value for key, value in loader.items() if key != "prefetch_factor"} | {"persistent_workers": False}
