"""Keys that the product itself sets, and the field of a TrainJob that is for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mmaction_trainer.contract.errors import ConfigFailure

from . import classes, tree
from .draft import STAGES
from .plain import DELETE, field
from .recipe import OF_STAGE
from .tree import Config, Path, dotted


@dataclass(frozen=True)
class Reserved:
    """Why a key is the product's, and what to use instead."""

    why: str
    instead: str = ""


RUN = Reserved("every run has its own folder, and results go to storage", "spec.storage.uri")
LAUNCH = Reserved("torchrun starts every job, and the operator decides what it resumes from")
WORLD = Reserved("processes find each other through a port leased for the attempt", "spec.resources")
DATA = Reserved("lists and videos are brought into the run directory", "spec.dataset")
BEST = Reserved("storage, status and the test stage rely on how checkpoints are written and named")
CODE = Reserved("a job runs no code of its own; overrides are data")
CLASSES = Reserved("it stands in several places that have to agree", "spec.dataset.numClasses")

KEYS: Mapping[str, Reserved] = {
    "work_dir": RUN,
    "launcher": LAUNCH,
    "resume": LAUNCH,
    "load_from": Reserved("the checkpoint is brought into the run directory", "spec.model.pretrained"),
    "custom_imports": CODE,
    "default_scope": CODE,
    "auto_scale_lr": Reserved("the learning rate is written out, never scaled behind it", "spec.training.lr"),
    "randomness": Reserved("the seed is part of the job's record", "spec.training.seed"),
    "env_cfg.dist_cfg": WORLD,
    "model_wrapper_cfg.type": WORLD,
    "model_wrapper_cfg.device_ids": WORLD,
    "train_cfg.type": Reserved("progress, schedules and results count in epochs"),
    "train_cfg.by_epoch": Reserved("progress, schedules and results count in epochs"),
    "train_cfg.max_epochs": Reserved("every schedule is scaled to it", "spec.training.epochs"),
    "train_dataloader.batch_size": Reserved("the learning rate is scaled with it", "spec.training.batchSizePerGPU"),
    **{f"{stage}_dataloader.dataset.{key}": DATA for stage in STAGES for key in ("ann_file", "data_prefix")},
    **{f"{stage}_dataloader.dataset.{key}": DATA for stage in STAGES for key in ("data_root", "delimiter")},
    **{
        f"default_hooks.checkpoint.{key}": BEST
        for key in ("type", "by_epoch", "save_best", "rule", "save_last", "save_begin", "filename_tmpl")
    },
    **{f"default_hooks.checkpoint.{key}": BEST for key in ("out_dir", "backend_args", "file_client_args")},
    "default_hooks.checkpoint.published_keys": BEST,
}


def check_stages(change: Config, stages: tuple[str, ...]) -> None:
    """Refuse overrides of a stage that the job does not have.

    Raises:
        ConfigFailure: names the key.
    """
    for stage in STAGES:
        for key in OF_STAGE[stage]:
            if stage not in stages and key in change:
                raise ConfigFailure(
                    field((key,)), "is for training, and spec.evaluation.only trains nothing", do="Leave it out."
                )


def check_asked(change: Config) -> None:
    """Refuse overrides that name a reserved key.

    Raises:
        ConfigFailure: names the key, why it is reserved, and the field to use.
    """
    for pattern, reserved in KEYS.items():
        for path in tree.matching(change, pattern):
            raise _refusal(path, reserved)
    for path, _ in tree.nodes(change):
        if path and classes.is_count(path):
            raise _refusal(path, CLASSES)


def check_kept(before: Config, after: Config) -> None:
    """Refuse overrides that changed a reserved key without naming it, by replacing what holds it.

    Raises:
        ConfigFailure: names the key that is gone or different.
    """
    for pattern, reserved in KEYS.items():
        for path in (*tree.matching(before, pattern), *tree.matching(after, pattern)):
            if not tree.same(tree.get(before, path), tree.get(after, path)):
                raise _refusal(path, reserved, changed=f"{DELETE} or a whole list took it away or changed it")


def _refusal(path: Path, reserved: Reserved, changed: str = "") -> ConfigFailure:
    found = f"the product sets {dotted(path)}: {reserved.why}"
    return ConfigFailure(
        field(path),
        f"{changed}; {found}" if changed else found,
        do=f"Use {reserved.instead}." if reserved.instead else "Leave it out.",
    )
