"""``preflight.json``: every check that was made before a GPU was asked for, and what each found."""

from __future__ import annotations

from typing import Literal

from .document import Document
from .result import FailureReport

Outcome = Literal["passed", "warned", "failed", "skipped"]

CHECKS = {
    "config": "the config is the one that was rendered; warnings are what was decided in rendering",
    "storage": "results can be written, read back and deleted",
    "trackers": "each tracker is told where and as whom to report",
    "lists": "the lists of the data set are there, and each line is one",
    "classes": "there are as many classes as the model has outputs, each name once",
    "labels": "every label is a class id, and no video has two",
    "videos": "everything listed is there and not empty, and fits on this disk",
    "duplicates": "no video is listed twice, under one name or two",
    "leakage": "no video of train is one that the model is tested on",
    "decoding": "videos decode: a few of each split, or all of them",
    "frames": "they are long enough for the clips that the model sees",
    "weights": "the checkpoint to start from can be fetched, and is the file that its publisher states",
    "model": "the config builds, and the checkpoint fits the model",
    "learning rate": "the optimizer steps with the rate that the job shows",
    "memory": "a training step goes through, computing nothing, and what a process will hold is known",
}
"""What each check sees to, in the order in which a report has them."""


class Check(Document):
    """One check.

    ``said`` is what there is to know where nothing is wrong, or why it was skipped. ``seconds`` is how long it took.
    """

    name: str
    outcome: Outcome
    seconds: float = 0.0
    said: str = ""
    errors: tuple[FailureReport, ...] = ()
    warnings: tuple[str, ...] = ()


class Preflight(Document):
    """All checks of a job. It passed if none of them failed."""

    checks: tuple[Check, ...]

    @property
    def errors(self) -> tuple[FailureReport, ...]:
        """What has to be mended."""
        return tuple(error for check in self.checks for error in check.errors)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know and can live with."""
        return tuple(warning for check in self.checks for warning in check.warnings)

    def lines(self) -> list[str]:
        """The report as plain lines: a row for each check, then errors, then warnings."""
        rows = [f"{check.name:<15}{check.outcome:<9}{check.said}".rstrip() for check in self.checks]
        errors = [f"error: {error.failure}: {error.message}" for error in self.errors]
        return [*rows, *errors, *(f"warning: {warning}" for warning in self.warnings)]
