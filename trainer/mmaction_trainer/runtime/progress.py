"""How a training tells how far it is: ``progress.json`` for whoever watches, ``metrics.jsonl`` for the record."""

from __future__ import annotations

import json
import math
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mmaction.registry import HOOKS
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook

from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.checkpoints import Resumed
from mmaction_trainer.contract.document import replace_file
from mmaction_trainer.contract.progress import Best, Progress, Stage

from . import arriving

SECONDS_BETWEEN_WRITES = 1.0


@HOOKS.register_module()
class ProgressHook(Hook):  # type: ignore[misc]
    """Writes progress and metrics from rank 0 into the run directory (the working directory).

    Args:
        interval: iterations between two training lines of ``metrics.jsonl``.
    """

    priority = "VERY_LOW"  # after MMEngine's own hooks, which update the numbers read here

    def __init__(self, interval: int = 10) -> None:
        self.interval = interval
        self.metrics = Path(layout.METRICS)
        self.progress = Path(layout.PROGRESS)
        self.best: Best | None = None
        self.top1: float | None = None
        self.resumed = self._resumed()
        self._written = 0.0
        self._spent = 0.0
        self._started: float | None = None
        self._began: tuple[float, int] | None = None

    def before_train(self, runner: Any) -> None:
        """Note the world as the ranks see it."""
        self._start(runner)

    def before_test(self, runner: Any) -> None:
        """Note it here where nothing was trained."""
        if self._started is None:
            self._start(runner)

    def _start(self, runner: Any) -> None:
        self._started = time.monotonic()
        if is_main_process():
            self._record("start", {"worldSize": get_world_size(), "epochs": runner.max_epochs})

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Note loss and learning rate; tell how far the epoch is."""
        if not is_main_process():
            return
        if self._began is None:
            self._began = (time.monotonic(), runner.iter)
        last = batch_idx + 1 == len(runner.train_dataloader)
        if last or (batch_idx + 1) % self.interval == 0:
            line = {"epoch": runner.epoch + 1, "iteration": batch_idx + 1, "step": runner.iter + 1}
            if (lr := _mean(runner, "train/lr", 1)) is not None:
                line["lr"] = lr
            for name, scalar in (("loss", "train/loss"), ("top1", "train/top1_acc")):
                if (value := _mean(runner, scalar, self.interval)) is not None:
                    line[name] = value
            self._record("train", line)
        self._tell(
            runner,
            "Training",
            iteration=batch_idx + 1,
            iterations=len(runner.train_dataloader),
            loss=_mean(runner, "train/loss", self.interval),
            lr=_mean(runner, "train/lr", 1),
            eta_seconds=self._eta(runner),
        )

    def after_val_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Tell how far the validation is."""
        self._tell(runner, "Validating", iteration=batch_idx + 1, iterations=len(runner.val_dataloader))

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Note a validation, and whether it is the best so far."""
        scores = _scores(metrics)
        if not is_main_process() or not scores:
            return
        self._record("val", {"epoch": runner.epoch, **scores})
        self._validated(scores["top1"], runner.epoch)
        self._tell(runner, "Validating", force=True)

    def after_test_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Tell how far the test is."""
        self._tell(runner, "Testing", iteration=batch_idx + 1, iterations=len(runner.test_dataloader))

    def after_test_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Note the test."""
        scores = _scores(metrics)
        if is_main_process() and scores:
            seconds = round(self.seconds(), 1)
            self._record("test", {**scores, "videos": len(runner.test_dataloader.dataset), "seconds": seconds})
            if not runner.max_epochs:
                self.top1 = scores["top1"]
            self._tell(runner, "Testing", force=True)

    def state(self) -> dict[str, Any]:
        """The record so far, for a checkpoint; on rank 0."""
        return {"record": self.metrics.read_text(), "seconds": self.seconds()}

    def restore(self, state: dict[str, Any]) -> int:
        """Go on with the record of a checkpoint; what was noted after it was lost with its work.

        Returns:
            The newest epoch that was validated, 0 if none was.
        """
        self._spent = state["seconds"]
        if is_main_process():
            replace_file(self.metrics, state["record"].encode())
        validated = 0
        for line in map(json.loads, state["record"].splitlines()):
            if line["stage"] == "val":
                self._validated(line["top1"], line["epoch"])
                validated = line["epoch"]
        return validated

    def _validated(self, top1: float, epoch: int) -> None:
        self.top1 = top1
        if self.best is None or top1 > self.best.top1:
            self.best = Best(top1=top1, epoch=epoch)

    def seconds(self) -> float:
        """How long the ranks have worked, in attempts that this one goes on from too."""
        return self._spent + (time.monotonic() - self._started if self._started else 0.0)

    @staticmethod
    def _resumed() -> Resumed | None:
        return Resumed.read(Path(layout.RESUME)) if Path(layout.RESUME).exists() else None

    def _record(self, stage: str, line: dict[str, Any]) -> None:
        with self.metrics.open("a") as file:
            file.write(json.dumps({"stage": stage, **line}) + "\n")

    def _tell(self, runner: Any, stage: Stage, *, force: bool = False, **numbers: Any) -> None:
        now = time.monotonic()
        done = numbers.get("iteration") == numbers.get("iterations")
        if not is_main_process() or (now - self._written < SECONDS_BETWEEN_WRITES and not force and not done):
            return
        self._written = now
        Progress(
            stage=stage,
            observed_at=datetime.now(UTC),
            epoch=_epoch(runner, stage),
            epochs=runner.max_epochs or None,
            top1=self.top1,
            best=self.best,
            resumed=self.resumed,
            message=str(arriving.told() or ""),
            **numbers,
        ).write(self.progress)

    def _eta(self, runner: Any) -> float | None:
        """Seconds of training left at the pace of this attempt so far, validations included."""
        assert self._began is not None
        seconds, done = time.monotonic() - self._began[0], runner.iter - self._began[1]
        return seconds / done * (runner.max_iters - runner.iter - 1) if done else None


def _epoch(runner: Any, stage: Stage) -> int | None:
    """The epoch that this is about, from 1; None where nothing is trained."""
    if not runner.max_epochs:
        return None
    return min(int(runner.epoch) + 1, int(runner.max_epochs)) if stage == "Training" else int(runner.epoch)


def _mean(runner: Any, scalar: str, window: int) -> float | None:
    """Mean of the newest ``window`` values of a scalar; None where there is none, or it is not a number."""
    if scalar not in runner.message_hub.log_scalars:
        return None
    value = float(runner.message_hub.get_scalar(scalar).mean(window))
    return value if math.isfinite(value) else None


def _scores(metrics: dict[str, float] | None) -> dict[str, float]:
    """Top-1, top-5 and mean class accuracy under their own names."""
    names = {"acc/top1": "top1", "acc/top5": "top5", "acc/mean1": "meanClass"}
    return {names[key]: float(value) for key, value in (metrics or {}).items() if key in names}
