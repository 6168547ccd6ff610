"""Checkpoints that a training can go on from as if it had never stopped, and the going on.

MMEngine's checkpoints hold weights, optimizer, schedules, the loss scaler and its own records. What else a training
consists of is added to each: the product's record of it, and, in the middle of an epoch, the buffers of every rank,
which MMEngine makes equal at the end of an epoch alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_gather_object, gather_object, get_rank, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.checkpoints import ResumePoint, Saved
from mmaction_trainer.contract.errors import ConfigFailure, StorageFailure
from mmaction_trainer.contract.skipping import Skipped

from . import skipping
from .saving import WRITER

KEY = "mmaction_operator"
"""Of a checkpoint: what this hook adds."""
EPOCH = "epoch_{}.pth"
"""Names of checkpoints that an epoch ends with, as MMEngine has them."""
IN_AN_EPOCH = "{}_in_epoch_{}_iter_{}.pth"
"""Names of checkpoints that no epoch ends with: why, how many epochs were done, and how many iterations."""

OF_THE_COURSE = ("model", "optim_wrapper", "param_scheduler", "train_cfg", "train_pipeline")
"""Of the config: what is trained, and how. An optimizer that is restored keeps its rates, whatever the config says."""
AGAIN = "Nothing: the next attempt looks again."


@HOOKS.register_module()
class ResumeHook(Hook):  # type: ignore[misc]
    """Completes checkpoints, tells the launcher of them, and restores what one holds.

    Args:
        interval: iterations between two checkpoints, beside those that MMEngine's ``CheckpointHook`` saves at the end
            of epochs; None for none.

    Attributes:
        saving: called in every rank when all begin to save in the middle of an epoch.
    """

    priority = "LOWEST"  # after the hook that saves

    def __init__(self, interval: int | None = None) -> None:
        self.interval = interval
        self.buffers: list[dict[str, torch.Tensor]] = []
        self.resumed: dict[str, Any] | None = None
        self.last = ""
        self.saving: Callable[[], None] = lambda: None

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Add what MMEngine leaves out; called on rank 0."""
        if "optimizer" in checkpoint:
            checkpoint[KEY] = {
                "batch": batch_of(runner),
                "iterations": len(runner.train_dataloader),
                "course": course_of(runner),
                "progress": progress_of(runner).state(),
                "buffers": self.buffers,
                "skipped": [(each.video, each.reason) for each in skipping.noted()],
            }

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """See that the training can go on from this checkpoint.

        Raises:
            ConfigFailure: it is of another course.
        """
        if not runner._resume or self.resumed is not None:
            return
        self.resumed = checkpoint.get(KEY, {})
        check(self.resumed, runner)
        for video, reason in self.resumed.get("skipped", ()):
            skipping.note(Skipped(video=video, reason=reason))
        runner.train_loop.validated = progress_of(runner).restore(self.resumed["progress"])
        known = checkpoint["message_hub"]["runtime_info"]
        for name in ("best_ckpt", "last_ckpt"):  # whole paths, of another run directory
            if known.get(name):
                known[name] = str(Path(runner.work_dir) / Path(known[name]).name)

    def before_train(self, runner: Any) -> None:
        """See that all ranks begin at one place, and give each the buffers that it had.

        Raises:
            StorageFailure: nodes have found checkpoints of different moments.
        """
        places = set(all_gather_object((runner.epoch, runner.iter)))
        if len(places) > 1:
            raise StorageFailure(
                "checkpoint", f"nodes go on from different ones: epochs and iterations {sorted(places)}", do=AGAIN
            )
        if self.resumed and (buffers := self.resumed["buffers"]):
            mine = buffers[get_rank()] if len(buffers) == get_world_size() else mean(buffers)
            model_of(runner).load_state_dict(mine, strict=False)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Save in the middle of an epoch, where that is asked for."""
        if self.interval and (runner.iter + 1) % self.interval == 0:
            self.save(runner, IN_AN_EPOCH.format("saved", runner.epoch, runner.iter + 1))

    def after_train_epoch(self, runner: Any) -> None:
        """Tell of the checkpoint of this epoch, if there is one."""
        self._tell_of_epoch(runner, runner.epoch + 1)

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Tell of a new best checkpoint: MMEngine has saved the newest one again, which names it."""
        self._tell_of_epoch(runner, runner.epoch)

    def after_train(self, runner: Any) -> None:
        """Wait for the last checkpoint, and remove those that only a training that goes on needs."""
        WRITER.wait()
        if is_main_process():
            runner.logger.info(waiting(WRITER.waited, progress_of(runner).seconds()))
            for path in Path(layout.WORK).glob(IN_AN_EPOCH.format("*", "*", "*")):
                path.unlink()

    def save(self, runner: Any, name: str) -> None:
        """Save after an iteration into ``work/``, from all ranks; the one before goes."""
        self.saving()
        self.buffers = gather_object(buffers_of(runner)) or []
        self.save_alone(runner, name, runner.iter + 1)
        self.buffers = []

    def save_alone(self, runner: Any, name: str, iteration: int) -> None:
        """Save on rank 0, which needs no other: buffers are equal, or were gathered."""
        meta = {"epoch": runner.epoch, "iter": iteration}
        runner.save_checkpoint(layout.WORK, name, meta=meta, by_epoch=False)
        self._tell(Saved(file=name, best=best_of(runner), epoch=runner.epoch, iteration=iteration))
        if self.last and is_main_process():
            WRITER.then(partial(Path(layout.WORK, self.last).unlink, missing_ok=True))
        self.last = name

    def _tell_of_epoch(self, runner: Any, epoch: int) -> None:
        self._tell(Saved(file=EPOCH.format(epoch), best=best_of(runner), epoch=epoch, iteration=runner.iter))

    def _tell(self, saved: Saved) -> None:
        """Tell of a checkpoint once it is written; of none that is not saved in this epoch."""

        def tell() -> None:
            file = Path(layout.WORK, saved.file)
            if file.exists():
                saved.model_copy(update={"written": file.stat().st_mtime_ns}).write(Path(layout.SAVED))

        if is_main_process():
            WRITER.then(tell)


def waiting(waited: float, seconds: float) -> str:
    """What checkpoints cost a training."""
    return f"The training waited {waited:.2f} s for checkpoints, {waited / seconds:.2%} of its {seconds:.1f} s"


def resume(runner: Any) -> None:
    """Have the runner go on from the checkpoint that the launcher brought, if it brought one."""
    if Path(layout.RESUME).exists():
        runner._load_from, runner._resume = str(Path(layout.WORK, ResumePoint.read(Path(layout.RESUME)).file)), True


def check(held: dict[str, Any], runner: Any) -> None:
    """See that a checkpoint is of this course: its iterations mean the same clips.

    Raises:
        ConfigFailure: they do not.
    """
    if not held:
        raise ConfigFailure("checkpoint", "does not say where its training was", do="Set spec.resume to Never.")
    for what, was, now in (
        ("videos in a step of all ranks together", held["batch"], batch_of(runner)),
        ("iterations in an epoch", held["iterations"], len(runner.train_dataloader)),
    ):
        if was != now:
            raise ConfigFailure(
                "checkpoint",
                f"is of a training with {was} {what}, and this one has {now}",
                accepted="the same data set, and training.batchSizePerGPU times all processes as before",
                do="Make them equal; or set spec.resume to Never to begin anew.",
            )
    course = course_of(runner)
    if others := [key for key, digest in held["course"].items() if course[key] != digest]:
        raise ConfigFailure(
            "checkpoint",
            f"is of a training with another config: {', '.join(others)}",
            accepted="the job as it was, but for machines, loaders and what is told of it",
            do="Go on with the job as it was; or train this one under another name.",
        )


def course_of(runner: Any) -> dict[str, str]:
    """What is trained and how, as digests by the config's keys."""
    parts = {key: runner.cfg.get(key) for key in OF_THE_COURSE[:-1]}
    parts[OF_THE_COURSE[-1]] = runner.cfg.train_dataloader.dataset.get("pipeline")
    return {key: hashlib.sha256(repr(part).encode()).hexdigest() for key, part in parts.items()}


def batch_of(runner: Any) -> int:
    """Videos in one step of all ranks together."""
    return int(runner.train_dataloader.batch_sampler.batch_size * get_world_size())


def progress_of(runner: Any) -> Any:
    """The hook that keeps the record."""
    return next(hook for hook in runner.hooks if hasattr(hook, "restore"))


def best_of(runner: Any) -> str | None:
    """The file of the best checkpoint so far."""
    best = runner.message_hub.runtime_info.get("best_ckpt")
    return Path(best).name if best else None


def model_of(runner: Any) -> torch.nn.Module:
    """The model without what makes it one of several ranks."""
    model: torch.nn.Module = getattr(runner.model, "module", runner.model)
    return model


def buffers_of(runner: Any) -> dict[str, torch.Tensor]:
    """The model's buffers, on CPU: running statistics, which differ among ranks within an epoch."""
    return {name: buffer.detach().cpu() for name, buffer in model_of(runner).named_buffers()}


def mean(buffers: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Buffers of another number of ranks as MMEngine joins them at the end of an epoch."""
    return {
        name: torch.stack([each[name].double() for each in buffers]).mean(0).to(first.dtype)
        for name, first in buffers[0].items()
    }
