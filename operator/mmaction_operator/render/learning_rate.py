"""The learning rate, and the precision it is stepped in.

What a job asks for is what training uses. Where it does not ask, the recipe's rate is scaled linearly from the batch
size it was found with to this job's. MMEngine would do that by itself where ``auto_scale_lr.enable`` is set, which
twelve recipes do and none says: it is written out and off, always.
"""

from __future__ import annotations

import math
import re

from mmaction_trainer.contract.errors import ConfigFailure

from ..api.spec import TrainingSpec
from ..zoo import ZooEntry
from . import tree
from .draft import Draft
from .tree import Config

RATE = "optim_wrapper.optimizer.lr"
ABSOLUTE = ("eta_min", "eta_max")
"""Rates that a scheduler names outright, not as a factor."""

GPUS_OF_A_RECIPE = 8
"""OpenMMLab's recipes are for eight GPUs where their name says nothing else."""

FAR = 30
"""How many times higher or lower than the recipe's a rate is that deserves a word. Fine-tuning is gentler by ten."""

PRECISIONS: dict[str, Config] = {
    "fp32": {"type": "OptimWrapper"},
    "fp16": {"type": "AmpOptimWrapper", "dtype": "float16", "loss_scale": "dynamic"},
    # bfloat16 has float32's range: nothing to scale.
    "bf16": {"type": "AmpOptimWrapper", "dtype": "bfloat16", "loss_scale": 1.0},
}


def base_batch_size(entry: ZooEntry) -> int:
    """The batch, over all GPUs, that the recipe's rate was found with: as its config says, else its name (8xb16)."""
    declared = tree.get(entry.config, "auto_scale_lr.base_batch_size")
    if declared:
        return int(declared)
    named = re.search(r"(?<![0-9a-z])(\d+)xb(\d+)(?![0-9a-z])", entry.name)
    if named:
        return int(named[1]) * int(named[2])
    return GPUS_OF_A_RECIPE * int(entry.config["train_dataloader"]["batch_size"])


def apply(draft: Draft, training: TrainingSpec, entry: ZooEntry, *, world_size: int) -> Draft:
    """The draft with its rate, for all processes' batch together."""
    batch = world_size * int(draft.get("train_dataloader.batch_size"))
    recipe = float(draft.get(RATE))
    base = base_batch_size(entry)
    usual = recipe * batch / base
    rate = usual if training.lr is None else training.lr
    if training.lr is None and batch != base:
        draft = draft.warn(
            f"The learning rate is {rate:g}: the recipe's {recipe:g}, for a batch of {base}, scaled to one of {batch}."
        )
    if not usual / FAR <= rate <= usual * FAR:
        draft = draft.warn(
            f"spec.training.lr is {rate:g}, {rate / usual:.3g} times what the recipe has for a batch of {batch}, "
            f"{usual:g}."
        )
    schedulers = [_along(scheduler, rate / recipe) for scheduler in draft.get("param_scheduler")]
    return (
        draft.put(RATE, rate)
        .put("param_scheduler", schedulers)
        .put("auto_scale_lr", {"enable": False, "base_batch_size": batch})
    )


def with_precision(draft: Draft, training: TrainingSpec, *, device: str) -> Draft:
    """The draft with its optimizer wrapper.

    Raises:
        ConfigFailure: fp16 on CPU, for which torch has no loss scaling.
    """
    if training.precision == "fp16" and device == "cpu":
        raise ConfigFailure(
            "spec.training.precision", "fp16, and spec.resources.gpusPerNode is 0", accepted="fp32 or bf16 on CPU"
        )
    wrapper = draft.get("optim_wrapper")
    if training.precision == "fp32" and wrapper.get("type") == "AmpOptimWrapper":
        draft = draft.warn("The recipe trains in mixed precision; this job in fp32, as spec.training.precision says.")
    kept = {key: value for key, value in wrapper.items() if key not in ("type", "dtype", "loss_scale")}
    return draft.put("optim_wrapper", {**PRECISIONS[training.precision], **kept})


def effective(draft: Draft, training: TrainingSpec) -> float:
    """The rate that training starts from, once overrides are in.

    Raises:
        ConfigFailure: overrides took it out, or contradict ``spec.training.lr``.
    """
    rate = draft.get(RATE)
    if not isinstance(rate, int | float) or isinstance(rate, bool) or not rate > 0 or not math.isfinite(rate):
        raise ConfigFailure(f"spec.overrides.{RATE}", f"found {rate!r}", accepted="a number above 0")
    if training.lr is not None and rate != training.lr:
        raise ConfigFailure(
            f"spec.overrides.{RATE}", f"found {rate:g}, and spec.training.lr is {training.lr:g}", do="Keep one of them."
        )
    return float(rate)


def _along(scheduler: Config, factor: float) -> Config:
    rates = {key: scheduler[key] * factor for key in ABSOLUTE if scheduler.get(key)}
    return {**scheduler, **rates}
