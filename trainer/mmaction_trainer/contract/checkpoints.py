"""What a training can go on from: said by the ranks in their run directory, and by the launcher in storage.

    <results>/resume/<attempt>/<file>-<first 8 of its sha256>.pth    checkpoints, and the best one so far
    <results>/resume/<attempt>/checkpoints.json                      which of them are whole, the newest first

An attempt writes below its own number alone, and the list after the files that it names. So an attempt that is thought
gone, and is not, spoils nothing of the one that took its place.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from .document import Document

PREFIX = "resume"
INDEX = "checkpoints.json"


class Saved(Document):
    """The newest checkpoint of the ranks: files in ``work/``, epochs and iterations that are done.

    ``written`` is when the file was, in nanoseconds: one that is of another time is a newer checkpoint of this name, of
    which nothing is told yet. It may know of a best one that this does not name.
    """

    file: str
    written: int | None = None
    best: str | None = None
    epoch: int
    iteration: int


class StoredFile(Document):
    """A file of the ranks in storage: its name there, as it was named here, and what it holds."""

    key: str
    file: str
    size: int
    sha256: str


class StoredCheckpoint(Document):
    """A checkpoint in storage, with the best one as of then, and epochs and iterations that are done."""

    checkpoint: StoredFile
    best: StoredFile | None = None
    epoch: int
    iteration: int

    @property
    def files(self) -> tuple[StoredFile, ...]:
        """All that a training needs to go on from it."""
        return (self.checkpoint, self.best) if self.best else (self.checkpoint,)


class StoredCheckpoints(Document):
    """``checkpoints.json``: those of one attempt that are whole in storage, the newest first, and of which data set."""

    version: Literal["v1"] = "v1"
    attempt: int
    saved_at: datetime
    data_sha256: str
    checkpoints: tuple[StoredCheckpoint, ...]


class Resumed(Document):
    """From where an attempt went on: whose checkpoint, and how many epochs and iterations were done."""

    attempt: int
    epoch: int
    iteration: int

    def __str__(self) -> str:
        return f"attempt {self.attempt}, after {self.iteration} iterations"


class ResumePoint(Resumed):
    """``resume.json``: the same, and the checkpoint's file in ``work/``, for the ranks."""

    file: str
    best: str | None = None
