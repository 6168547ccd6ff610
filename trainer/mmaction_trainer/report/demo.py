"""``demo.mp4``: one video of the test with its labels on it, from the scores that the test left."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.document import as_unicode
from mmaction_trainer.evaluate import BEST, Predictions

from .annotated import annotate

WIDEST, SECONDS = 640, 10.0
"""Pixels and seconds of it: something to look at, small beside a checkpoint."""


def draw(run_dir: Path, predictions: Predictions) -> None:
    """Draw the demo into a run directory, from the videos in it."""
    number = shown(predictions)
    labels = [
        (as_unicode(predictions.classes[label]), float(predictions.scores[number, label]))
        for label in predictions.best(BEST)[number]
    ]
    video = run_dir / layout.VIDEOS / predictions.videos[number]
    annotate(video, run_dir / layout.DEMO, labels, widest=WIDEST, seconds=SECONDS)


def shown(predictions: Predictions) -> int:
    """The first video of the test list that is taken for what it is; the first of all where none is."""
    right = np.flatnonzero(predictions.predicted == predictions.labels)
    return int(right[0]) if right.size else 0
