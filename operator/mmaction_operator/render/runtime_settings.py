"""Hooks, processes and places: what the trainer's runtime relies on, the same in every job."""

from __future__ import annotations

from typing import Literal

from mmaction_trainer.contract.run import WORK

from ..api.spec import ResourcesSpec, TrainingSpec
from . import families
from .draft import Draft
from .tree import Config, rewrite

Device = Literal["cpu", "cuda"]

RUNTIME = "mmaction_trainer.runtime"
PROGRESS, RESUME = "ProgressHook", "ResumeHook"
LOOP = "ResumableTrainLoop"
COLLECTIVE_TIMEOUT = 1800
"""Seconds that a rank waits for the others."""
LOG_INTERVAL = 20
"""Iterations between two lines of the log."""


def device(resources: ResourcesSpec) -> Device:
    """What the job trains on."""
    return "cuda" if resources.gpus_per_node else "cpu"


def apply(draft: Draft, training: TrainingSpec, where: Device) -> Draft:
    """The draft with everything that is about running it. One config runs in any run directory: paths are relative."""
    settings: Config = {
        "env_cfg": {
            **draft.get("env_cfg", {}),
            "cudnn_benchmark": where == "cuda",
            "mp_cfg": {"mp_start_method": "fork", "opencv_num_threads": 0},
            "dist_cfg": {"backend": "nccl" if where == "cuda" else "gloo", "timeout": COLLECTIVE_TIMEOUT},
        },
        "randomness": {"seed": training.seed, "deterministic": False, "diff_rank_seed": False},
        "custom_imports": {"imports": [RUNTIME, *_imported(draft)], "allow_failed_imports": False},
        "default_scope": "mmaction",
        "custom_hooks": draft.get("custom_hooks") or [],
        "launcher": "pytorch",  # torchrun, for one process too
        "resume": False,
        "work_dir": WORK,
    }
    for key, value in settings.items():
        draft = draft.put(key, value)
    draft = draft.put("default_hooks.logger.interval", LOG_INTERVAL)
    return _for_cpu(draft) if where == "cpu" else draft


def settle(draft: Draft, training: TrainingSpec, where: Device) -> Draft:
    """What follows from the rest, once overrides are in: the product's own hooks, and DDP finds idle parameters."""
    own: list[Config] = [{"type": PROGRESS}]
    if draft.trains:
        every = training.checkpoint_iterations
        own.append({"type": RESUME, **({"interval": every} if every else {})})
    others = [hook for hook in draft.get("custom_hooks") if hook["type"] not in (PROGRESS, RESUME)]
    draft = draft.put("custom_hooks", [*others, *own])
    if where == "cpu" and draft.get("model_wrapper_cfg"):
        draft = draft.put("model_wrapper_cfg.find_unused_parameters", bool(draft.get("find_unused_parameters", False)))
    return draft


def with_checkpoints(draft: Draft, training: TrainingSpec) -> Draft:
    """Checkpoints by epoch, the best one by top-1 of the validation.

    MMEngine checkpoints the last epoch (``save_last``) and validates it, whatever the intervals.
    """
    interval = training.checkpoint_interval or draft.get("train_cfg.val_interval")
    checkpoint = {
        "type": "CheckpointHook",
        "interval": min(interval, draft.get("train_cfg.max_epochs")),
        "max_keep_ckpts": training.keep_checkpoints,
        "save_best": "acc/top1",
        "rule": "greater",
        "save_last": True,
    }
    return draft.put("default_hooks.checkpoint", checkpoint).put("train_cfg.type", LOOP)


def without_checkpoints(draft: Draft) -> Draft:
    """A test writes none; None is how MMEngine is told to leave out a hook that it adds by itself."""
    return draft.put("default_hooks.checkpoint", None)


def _imported(draft: Draft) -> list[str]:
    """Modules of the model's parts that nothing imports but a config that asks for them."""
    return sorted({part.imported for part in families.parts(draft.get("model")).values() if part.imported})


def _for_cpu(draft: Draft) -> Draft:
    """DDP on CPU wants no device ids, and MMEngine gives it one unless told not to; SyncBN is for GPUs alone."""

    def plain_norm(node: Config) -> Config:
        return {**node, "type": "BN3d"} if node.get("type") == "SyncBN" else node

    wrapper = {"type": "MMDistributedDataParallel", "broadcast_buffers": False, "device_ids": None}
    return draft.put("model_wrapper_cfg", wrapper).put("model", rewrite(draft.get("model"), plain_norm))
