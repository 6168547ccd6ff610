"""Stopping all ranks after the same iteration, with a checkpoint.

A signal reaches ranks at different iterations, and a rank that leaves alone makes the others hang in their next
all-reduce. So the launcher leaves a file; whoever sees it puts a request into the world's store; rank 0 answers with
the iteration to stop after. Gradients are all-reduced in every iteration, so no rank can end the next one before
rank 0 has begun it: naming the next synchronised iteration is early enough for all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch.distributed as dist
from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from mmaction_trainer.contract.errors import Interrupted
from mmaction_trainer.contract.run import STOP, WORK

from .resuming import EPOCH, IN_AN_EPOCH, ResumeHook
from .saving import WRITER

REQUEST, STOP_AFTER, SAVED = "mmaction/stop/request", "mmaction/stop/after", "mmaction/stop/saved"


class StopHook(Hook):  # type: ignore[misc]
    """Ends the training cleanly when the launcher asks for it.

    Args:
        store: the world's store.
    """

    priority = "LOWEST"

    def __init__(self, store: dist.Store) -> None:
        self.store = store
        self.file = Path(STOP)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Stop after the iteration that rank 0 named; no rank leaves before rank 0 has saved."""
        if self._asked() and is_main_process() and not self.store.check([STOP_AFTER]):
            accumulated = runner.optim_wrapper._accumulative_counts
            after = runner.iter + accumulated
            self.store.set(STOP_AFTER, str(after + -(after + 1) % accumulated))  # with no gradients that wait
        if not self.store.check([STOP_AFTER]) or runner.iter < int(self.store.get(STOP_AFTER)):
            return
        iteration = runner.iter + 1
        name = IN_AN_EPOCH.format("stopped", runner.epoch, iteration)
        resuming_of(runner).save(runner, name)
        WRITER.wait()
        if is_main_process():
            self.store.set(SAVED, b"1")
        self.store.wait([SAVED])
        raise interrupted(name, iteration)

    def after_val_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Rank 0 saves, where the epoch did not, and leaves, which ends the others: nothing of theirs could be torn."""
        if self._asked() and is_main_process() and runner.max_epochs:
            WRITER.wait()
            name = EPOCH.format(runner.epoch)
            if not Path(WORK, name).exists():  # an epoch that leaves none
                name = IN_AN_EPOCH.format("stopped", runner.epoch, runner.iter)
                resuming_of(runner).save_alone(runner, name, runner.iter)
                WRITER.wait()
            raise interrupted(name, runner.iter)

    def after_test_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Rank 0 leaves: the checkpoints of the training are there, if there was one."""
        if self._asked() and is_main_process():
            left = "The checkpoints of the training were left." if runner.max_epochs else ""
            raise Interrupted("test", "stopped as asked", do=left)

    def _asked(self) -> bool:
        """Whether some rank has seen the launcher's file."""
        if self.file.exists():
            self.store.set(REQUEST, b"1")
        return bool(self.store.check([REQUEST]))


def resuming_of(runner: Any) -> ResumeHook:
    """The hook that saves."""
    return next(hook for hook in runner.hooks if isinstance(hook, ResumeHook))


def interrupted(name: str, iteration: int) -> Interrupted:
    """How a training ended that left a checkpoint."""
    return Interrupted("training", f"stopped as asked after iteration {iteration}", do=f"{name} was left.")
