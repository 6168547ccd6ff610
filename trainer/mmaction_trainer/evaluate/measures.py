"""Numbers from predictions alone: accuracies as MMAction2 counts them, and what a single number does not say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .predictions import Predictions

BINS = 15
"""Of confidence, as Guo et al. (2017, On Calibration of Modern Neural Networks) use."""
MISTAKES = 20


@dataclass(frozen=True)
class ClassMeasure:
    """How well one class is told from the others.

    Attributes:
        videos: how many of the test are of it.
        accuracy: the share of these that is found (recall); None where there are none.
        precision: the share of what is taken for it that is it; None where nothing is.
        confused_with: the class that it is most often taken for, and how often; None where it never is.
    """

    name: str
    videos: int
    accuracy: float | None
    precision: float | None
    confused_with: tuple[str, int] | None


@dataclass(frozen=True)
class Bin:
    """Videos whose highest score lies in a range: mean score and accuracy, which are equal where scores are right."""

    videos: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Mistake:
    """A video that was taken for another class, and with which score."""

    video: str
    label: str
    predicted: str
    score: float
    score_of_label: float


@dataclass(frozen=True)
class Measures:
    """What the test found.

    Attributes:
        top1, top5: share of videos whose class has the highest score, one of the five highest.
        mean_class: mean of the classes' accuracies; a class that videos are taken for and none is of counts as 0, as
            MMAction2 has it.
        confusion: (classes, classes), videos of a class (row) taken for a class (column).
        calibration_error: mean distance of confidence and accuracy over the bins, by their videos (ECE).
        mistakes: the most confident ones.
    """

    top1: float
    top5: float
    mean_class: float
    classes: tuple[ClassMeasure, ...]
    confusion: npt.NDArray[np.int64]
    calibration: tuple[Bin, ...]
    calibration_error: float
    mistakes: tuple[Mistake, ...]


def measure(predictions: Predictions) -> Measures:
    """Measure predictions of at least one video."""
    confusion = confusion_of(predictions)
    bins = tuple(bins_of(predictions))
    error = sum(each.videos * abs(each.confidence - each.accuracy) for each in bins) / len(predictions.labels)
    return Measures(
        top1=topk(predictions, 1),
        top5=topk(predictions, 5),
        mean_class=mean_class(confusion),
        classes=tuple(classes_of(predictions, confusion)),
        confusion=confusion,
        calibration=bins,
        calibration_error=error,
        mistakes=tuple(mistakes_of(predictions)),
    )


def topk(predictions: Predictions, count: int) -> float:
    """Share of videos whose class is among those of the highest scores."""
    return float((predictions.best(count) == predictions.labels[:, np.newaxis]).any(axis=1).mean())


def confusion_of(predictions: Predictions) -> npt.NDArray[np.int64]:
    """(classes, classes): how many videos of a class (row) are taken for a class (column)."""
    count = len(predictions.classes)
    cells = np.bincount(count * predictions.labels + predictions.predicted, minlength=count * count)
    return cells.reshape(count, count)


def mean_class(confusion: npt.NDArray[np.int64]) -> float:
    """Mean accuracy of the classes that occur as a label or as a prediction."""
    videos, hits = confusion.sum(axis=1), np.diag(confusion)
    occurring = (videos + confusion.sum(axis=0)) > 0
    return float((hits[occurring] / np.maximum(videos[occurring], 1)).mean())


def classes_of(predictions: Predictions, confusion: npt.NDArray[np.int64]) -> Iterator[ClassMeasure]:
    """Each class by itself."""
    for number, name in enumerate(predictions.classes):
        videos, taken, hits = confusion[number].sum(), confusion[:, number].sum(), confusion[number, number]
        others = confusion[number].copy()
        others[number] = 0
        most = int(others.argmax())
        yield ClassMeasure(
            name=name,
            videos=int(videos),
            accuracy=float(hits / videos) if videos else None,
            precision=float(hits / taken) if taken else None,
            confused_with=(predictions.classes[most], int(others[most])) if others[most] else None,
        )


def bins_of(predictions: Predictions) -> Iterator[Bin]:
    """Videos by their highest score, in ranges of one width; empty ranges are left out."""
    confidence, right = predictions.scores.max(axis=1), predictions.predicted == predictions.labels
    places = np.clip((confidence * BINS).astype(np.int64), 0, BINS - 1)
    for place in np.unique(places):
        inside = places == place
        yield Bin(int(inside.sum()), float(confidence[inside].mean()), float(right[inside].mean()))


def mistakes_of(predictions: Predictions) -> Iterator[Mistake]:
    """Videos that were taken for another class, the most confident first."""
    predicted = predictions.predicted
    wrong = np.flatnonzero(predicted != predictions.labels)
    order = wrong[np.argsort(-predictions.scores[wrong, predicted[wrong]], kind="stable")]
    for video in order[:MISTAKES]:
        label = int(predictions.labels[video])
        yield Mistake(
            video=predictions.videos[video],
            label=predictions.classes[label],
            predicted=predictions.classes[predicted[video]],
            score=float(predictions.scores[video, predicted[video]]),
            score_of_label=float(predictions.scores[video, label]),
        )
