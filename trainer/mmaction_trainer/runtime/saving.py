"""Checkpoints written beside the training: its loop waits for a copy in memory, and not for a disk.

MMEngine turns a checkpoint into bytes and writes them in the loop, in place. Here tensors are copied to host memory,
and a thread writes the copy beside its final name and renames it. One copy at a time: a checkpoint that comes before
the one ahead of it is written waits, so that host memory holds no more than one.

The process that saves has one such thread, as it has one training; ``bench/checkpoints.py`` measures what it saves.
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch


class Writer:
    """Writes checkpoints, and does what has to wait for them, in the order in which it is told.

    Attributes:
        waited: seconds that the training has waited for checkpoints.
    """

    def __init__(self) -> None:
        self.thread = ThreadPoolExecutor(1, "checkpoints")
        self.newest: Future[None] | None = None
        self.waited = 0.0
        self.depth = 0

    def save(self, checkpoint: Mapping[str, Any], filename: str, *others: object, **more: object) -> None:
        """Write a copy of a checkpoint; ``mmengine.runner.save_checkpoint``, of which a local disk needs no more."""
        self.wait()
        held = on_host(checkpoint)
        self.then(lambda: write(held, Path(filename)))

    def then(self, do: Callable[[], object]) -> None:
        """Do something once all that was saved is written; if it is."""
        before = self.newest

        def in_turn() -> None:
            if before:
                before.result()
            do()

        self.newest = self.thread.submit(in_turn)

    def wait(self) -> None:
        """Return when everything is done.

        Raises:
            OSError: a checkpoint could not be written.
        """
        with self.counted():
            if self.newest:
                self.newest.result()

    @contextmanager
    def counted(self) -> Iterator[None]:
        """The training waits while the body runs."""
        began, self.depth = time.monotonic(), self.depth + 1
        try:
            yield
        finally:
            self.depth -= 1
            if not self.depth:
                self.waited += time.monotonic() - began


WRITER = Writer()


def on_host(value: Any) -> Any:
    """A copy of a checkpoint that nothing else changes, its tensors in host memory."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        held = copy.copy(value)  # of its own kind, with what a state_dict's ``_metadata`` says
        for key, part in value.items():
            held[key] = on_host(part)
        return held
    if type(value) in (list, tuple):
        return type(value)(map(on_host, value))
    return copy.deepcopy(value)


def write(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Write a checkpoint so that a reader, or the next attempt after a kill, finds all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except RuntimeError as error:  # torch's, as it closes what the disk has refused to take
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise
    finally:
        beside.unlink(missing_ok=True)
