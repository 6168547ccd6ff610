"""``progress.json``: how far an attempt is; the newest one wins, a lost one costs nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from .checkpoints import Resumed
from .document import Document

Stage = Literal["Preparing", "Starting", "Training", "Validating", "Testing", "Uploading", "Done"]


class Best(Document):
    """The best validation so far."""

    top1: float
    epoch: int


class Progress(Document):
    """How far an attempt is.

    Accuracies are fractions from 0 to 1, by the job's validation protocol; of a job that trains nothing, by that of
    its test. ``iteration`` counts within the epoch while
    training, videos while testing, and files while preparing or uploading; ``iterations`` is how many there will be.
    ``resumed`` is where this attempt went on, if it is not a beginning.
    """

    stage: Stage
    observed_at: datetime
    message: str = ""
    epoch: int | None = None
    epochs: int | None = None
    iteration: int | None = None
    iterations: int | None = None
    loss: float | None = None
    lr: float | None = None
    top1: float | None = None
    best: Best | None = None
    eta_seconds: float | None = None
    resumed: Resumed | None = None
