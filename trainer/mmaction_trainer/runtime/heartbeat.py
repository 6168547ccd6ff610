"""A rank says what it does, so that its launcher finds out when it no longer gets anywhere.

A step that is like many before it (an iteration of a training, a validation, a test) is measured; what is long by
nature (the start, the first step of an epoch, which starts loaders and may compile, scoring, saving, and the step that
waits for a rank that saves) is only named. Each takes a write of half a kilobyte into a file of this machine.
"""

from __future__ import annotations

import faulthandler
import os
import time
from pathlib import Path
from typing import Any, Literal

import torch
from mmengine.hooks import Hook

from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.heartbeat import ASK, OVER, Beat, path_of

from .stop import resuming_of

Loop = Literal["training", "validation", "test"]


class Heart:
    """Writes what this rank does.

    Args:
        path: the rank's own file, which is made.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        self.place, self.kind, self.began = 0, "", 0.0
        self.slowest: dict[str, float] = {}
        self.begin("starting")

    def begin(self, doing: str, *, like: str = "", alone: bool = False) -> None:
        """Say that something begins, and with it ends what was before.

        Args:
            doing: in words that follow "while".
            like: which steps it is like, and is measured with; empty where it is long by nature.
            alone: whether other ranks do not do the same.
        """
        now = time.monotonic()
        if self.kind:
            self.slowest[self.kind] = max(self.slowest.get(self.kind, 0.0), now - self.began)
        self.kind, self.began = like, now
        self.go_on(doing, alone=alone)

    def go_on(self, doing: str, *, alone: bool = False) -> None:
        """Say what comes next in the same step."""
        self.place += not alone
        beat = Beat(pid=os.getpid(), place=self.place, doing=doing, slowest=self.slowest.get(self.kind))
        os.pwrite(self.file, beat.record, 0)

    def end(self) -> None:
        """Say that this rank has done all that it had to."""
        self.begin(OVER)


class HeartbeatHook(Hook):  # type: ignore[misc]
    """Says which step of which loop this rank is at.

    Args:
        heart: the rank's own.
    """

    priority = "LOWEST"  # what other hooks do after a step belongs to the step

    def __init__(self, heart: Heart) -> None:
        self.heart = heart
        self.at = ""
        self.saved = False

    def before_train_epoch(self, runner: Any) -> None:
        """An epoch begins, and its loaders start."""
        self.heart.begin(f"waiting for the first batch of epoch {runner.epoch + 1}")

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """The batch is here."""
        self.at = f"iteration {batch_idx + 1} of epoch {runner.epoch + 1}"
        self.heart.go_on(f"computing {self.at}")

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def after_forward(self, model: torch.nn.Module, *_: Any) -> None:
        """In the backward pass ranks wait for each other, which they do not before."""
        if model.training:
            self.heart.go_on(f"exchanging the gradients of {self.at}")

    def saving(self) -> None:
        """All ranks save together; in the step that follows they wait for the one that writes."""
        self.saved = True
        self.heart.begin("saving a checkpoint")

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Rank 0 saves, and the others may not know of it."""
        self.heart.begin("saving a checkpoint", alone=True)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """A step is done, and all that hooks made of it."""
        if batch_idx + 1 == len(runner.train_dataloader):
            self.heart.begin(f"ending epoch {runner.epoch + 1}")
        else:
            doing = f"waiting for the batch of iteration {batch_idx + 2} of epoch {runner.epoch + 1}"
            self.heart.begin(doing, like="" if self.saved else "training")
        self.saved = False

    def after_train(self, runner: Any) -> None:
        """What is between a training and its test."""
        self.heart.begin("loading the checkpoint that is tested")

    def before_val(self, runner: Any) -> None:
        """A validation begins, and its loaders start."""
        self._first("validation")

    def before_val_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """The batch is here."""
        self._computing("validation", batch_idx)

    def after_val_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """A step is done."""
        self._next("validation", batch_idx, len(runner.val_dataloader))

    def before_test(self, runner: Any) -> None:
        """A test begins, and its loaders start."""
        self._first("test")

    def before_test_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """The batch is here."""
        self._computing("test", batch_idx)

    def after_test_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """A step is done."""
        self._next("test", batch_idx, len(runner.test_dataloader))

    def _first(self, loop: Loop) -> None:
        self.heart.begin(f"waiting for the first batch of the {loop}")

    def _computing(self, loop: Loop, batch_idx: int) -> None:
        self.heart.go_on(f"computing batch {batch_idx + 1} of the {loop}")

    def _next(self, loop: Loop, batch_idx: int, batches: int) -> None:
        if batch_idx + 1 == batches:
            self.heart.begin(f"scoring the {loop}")
        else:
            self.heart.begin(f"waiting for batch {batch_idx + 2} of the {loop}", like=loop)


def start(rank: int) -> Heart:
    """Begin to say what this rank does, and to answer whoever asks where it stands; its loaders answer too.

    faulthandler needs no help of Python's: it answers for a rank that waits in native code, or that holds the GIL.
    After a crash it leaves the same in the log.
    """
    faulthandler.enable()
    path = Path(layout.STACKS, f"rank-{rank}")
    path.parent.mkdir(exist_ok=True)
    faulthandler.register(ASK, path.open("ab", buffering=0), all_threads=True)
    return Heart(path_of(Path(), rank))


def follow(runner: Any, heart: Heart) -> None:
    """Have the heart follow a runner through its loops."""
    hook = HeartbeatHook(heart)
    runner.register_hook(hook)
    runner.model.register_forward_hook(hook.after_forward)
    if runner.max_epochs:
        resuming_of(runner).saving = hook.saving
