"""Epochs, and every schedule of the recipe drawn out or in to fit them.

MMEngine's schedulers say in epochs where they begin, end and step. All of these bounds move in proportion, to whole
epochs. A scheduler of N steps that warms up from a factor f multiplies the rate by f in its first step and is back at
1 in its last, so with N = 1 it would leave the rate at f for the whole training, silently; and ``end <= begin`` raises.
Hence a warm-up that would shrink to nothing gets the shortest length that works, or, where that is more than half of
the training, goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..api.spec import TrainingSpec
from .draft import Draft
from .tree import Config

WARM_UP = "LinearLR"
FOREVER = 10**9


@dataclass(frozen=True)
class Stretch:
    """Where the recipe's epochs fall in this job's.

    Attributes:
        recipe: epochs of the recipe.
        epochs: epochs of the job.
        moved: bounds that do not move in proportion.
    """

    recipe: int
    epochs: int
    moved: Mapping[float, int]

    def bound(self, epoch: float) -> int:
        """A bound of the recipe, in this job's epochs."""
        if epoch >= FOREVER:
            return FOREVER
        return self.moved.get(epoch, self.proportion(epoch))

    def proportion(self, epoch: float) -> int:
        """To the nearest whole epoch, half an epoch up."""
        return int(epoch * self.epochs / self.recipe + 0.5)


def apply(draft: Draft, training: TrainingSpec) -> Draft:
    """The draft with this job's epochs, validations and schedules."""
    recipe = draft.get("train_cfg.max_epochs")
    epochs = training.epochs or recipe
    interval = min(training.val_interval or draft.get("train_cfg.val_interval", 1), epochs)
    draft = (
        draft.put("train_cfg.max_epochs", epochs)
        .put("train_cfg.val_begin", min(draft.get("train_cfg.val_begin", 1), epochs))
        .put("train_cfg.val_interval", interval)
    )
    if epochs == recipe:
        return draft
    stretch = Stretch(recipe, epochs, {})
    for scheduler in draft.get("param_scheduler"):
        if scheduler["type"] == WARM_UP and scheduler.get("begin", 0) == 0:
            length = _warm_up(scheduler, stretch)
            stretch = Stretch(recipe, epochs, {**stretch.moved, scheduler["end"]: length})
            if length == 0:
                draft = draft.warn(
                    f"spec.training.epochs is {epochs}: too few for the recipe's warm-up, which is left out."
                )
    schedulers = [_stretched(scheduler, stretch) for scheduler in draft.get("param_scheduler")]
    return draft.put("param_scheduler", [scheduler for scheduler in schedulers if scheduler])


def _warm_up(scheduler: Config, stretch: Stretch) -> int:
    """Epochs of a warm-up: two steps at least, which is two epochs unless it counts in iterations."""
    shortest = 1 if scheduler.get("convert_to_iter_based") else 2
    length = stretch.proportion(scheduler["end"])
    if length >= shortest:
        return length
    return shortest if 2 * shortest <= stretch.epochs else 0


def _stretched(scheduler: Config, stretch: Stretch) -> Config | None:
    """A scheduler within this job's epochs; None if nothing of it is left."""
    begin, end = scheduler.get("begin", 0), scheduler.get("end", FOREVER)
    first, last = stretch.bound(begin), stretch.bound(end)
    if first >= last:
        return None
    changes: dict[str, Any] = {key: value for key, value in (("begin", first), ("end", last)) if key in scheduler}
    if scheduler.get("T_max"):
        whole = scheduler["T_max"] == end - begin
        changes["T_max"] = last - first if whole else max(1, stretch.proportion(scheduler["T_max"]))
    if "milestones" in scheduler:
        steps = min(last, stretch.epochs) - first
        changes["milestones"] = _milestones([stretch.proportion(epoch) for epoch in scheduler["milestones"]], steps)
        if not changes["milestones"]:
            return None
    return {**scheduler, **changes}


def _milestones(wanted: list[int], steps: int) -> list[int]:
    """Strictly increasing, each after the first step and before the last is over; the later ones win."""
    placed: list[int] = []
    limit = steps - 1
    for epoch in reversed(wanted):
        at = min(epoch, limit)
        if at < 1:
            break
        placed.insert(0, at)
        limit = at - 1
    return placed
