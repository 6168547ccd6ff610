"""Every video's scores, as the test stage gave them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.errors import DataFailure

Scores = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Predictions:
    """Scores of a model, averaged over the views of each video.

    Attributes:
        scores: (videos, classes), each row a distribution where the model's head averages probabilities.
        labels: (videos,), the classes that are right, from 0.
        videos: paths below the data set's folder of videos, in the order of the test list.
        classes: names by class.
    """

    scores: Scores
    labels: Labels
    videos: tuple[str, ...]
    classes: tuple[str, ...]

    @classmethod
    def read(cls, run_dir: Path) -> Self:
        """The predictions that the ranks left in a run directory.

        Raises:
            DataFailure: they are not of the videos of the test list.
        """
        with np.load(run_dir / layout.SCORES) as held:
            scores, labels = held["scores"].astype(np.float32), held["labels"].astype(np.int64)
        listed = lines(run_dir / layout.LISTS["test"])
        videos = tuple(line.split(" ")[0] for line in listed)
        if [int(line.rsplit(" ", 1)[1]) for line in listed] != labels.tolist():
            raise DataFailure(
                layout.SCORES,
                f"{len(labels)} videos whose labels are not those of the {len(listed)} in {layout.LISTS['test']}",
                do="See the test stage in the log: a data set of its own (spec.overrides) tests other videos.",
            )
        return cls(scores, labels, videos, tuple(lines(run_dir / layout.CLASSES)))

    @property
    def predicted(self) -> Labels:
        """(videos,), the class of the highest score."""
        chosen: Labels = np.argmax(self.scores, axis=1)
        return chosen

    def best(self, count: int) -> Labels:
        """(videos, count), classes by falling score, as MMAction2 sorts them."""
        return self._order[:, :count]

    @cached_property
    def _order(self) -> Labels:
        """(videos, classes): sorted once, for all that is counted by it."""
        rising: Labels = np.argsort(self.scores, axis=1)
        return rising[:, ::-1]


def lines(path: Path) -> list[str]:
    """Lines of a text file; bytes of a name that are not UTF-8 are kept as the file system has them."""
    return [os.fsdecode(line) for line in path.read_bytes().splitlines()]
