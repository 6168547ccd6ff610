"""The files of a test, for people and programs: one JSON that has everything, and tables as CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmaction_trainer.contract.document import as_unicode, replace_file
from mmaction_trainer.contract.run import Protocol

from .measures import Measures, measure
from .predictions import Predictions

METRICS, CLASSES, CONFUSION, VIDEOS, SCORES = (
    *("metrics.json", "per-class.csv", "confusion.csv", "predictions.csv"),
    "scores.npy",
)
BEST = 5
"""Classes of the highest scores that are told of a video."""


@dataclass(frozen=True)
class Provenance:
    """What a number is of; two numbers are compared only where protocol, data and split are the same.

    Attributes:
        data_sha256: of paths and labels of the tested list.
        checkpoint, checkpoint_sha256: the weights that were tested; by their path in the results, or their URI.
    """

    protocol: Protocol
    data_sha256: str
    split: int
    checkpoint: str
    checkpoint_sha256: str


def write(folder: Path, predictions: Predictions, of: Provenance) -> Measures:
    """Write everything that is to be known of a test into a folder, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    found = measure(predictions)
    replace_file(folder / METRICS, as_json(found, of).encode())
    table(folder / CLASSES, ("class", "videos", "accuracy", "precision", "confusedWith", "times"), of_classes(found))
    names = [as_unicode(name) for name in predictions.classes]
    rows = ([name, *map(int, row)] for name, row in zip(names, found.confusion, strict=True))
    table(folder / CONFUSION, ("class", *names), rows)
    table(folder / VIDEOS, ("video", "label", *best_columns(predictions)), of_videos(predictions))
    np.save(folder / SCORES, predictions.scores, allow_pickle=False)
    return found


def as_json(found: Measures, of: Provenance) -> str:
    """Measures and what they are of, as a JSON document."""
    document: dict[str, Any] = {
        "protocol": of.protocol.model_dump(by_alias=True, exclude_none=True),
        "dataSHA256": of.data_sha256,
        "split": of.split,
        "checkpoint": of.checkpoint,
        "checkpointSHA256": of.checkpoint_sha256,
        "videos": int(found.confusion.sum()),
        "top1": found.top1,
        "top5": found.top5,
        "meanClass": found.mean_class,
        "calibrationError": found.calibration_error,
        "calibration": [asdict(each) for each in found.calibration],
        "mistakes": [
            {
                "video": as_unicode(each.video),
                "label": as_unicode(each.label),
                "predicted": as_unicode(each.predicted),
                "score": each.score,
                "scoreOfLabel": each.score_of_label,
            }
            for each in found.mistakes
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def of_classes(found: Measures) -> Iterable[Sequence[object]]:
    """Rows of the table of classes."""
    for each in found.classes:
        other, times = each.confused_with or ("", "")
        yield as_unicode(each.name), each.videos, share(each.accuracy), share(each.precision), as_unicode(other), times


def share(value: float | None) -> str:
    """A fraction in a table; nothing where there is none."""
    return "" if value is None else f"{value:.6f}"


def best_columns(predictions: Predictions) -> list[str]:
    """Names of the columns of the classes of the highest scores."""
    count = min(BEST, len(predictions.classes))
    return [name for place in range(1, count + 1) for name in (f"top{place}", f"score{place}")]


def of_videos(predictions: Predictions) -> Iterable[Sequence[object]]:
    """Rows of the table of videos: what each is, and what it was taken for."""
    best = predictions.best(min(BEST, len(predictions.classes)))
    names = [as_unicode(name) for name in predictions.classes]
    for video, label, chosen, scores in zip(
        predictions.videos, predictions.labels, best, predictions.scores, strict=True
    ):
        pairs = (value for place in chosen for value in (names[place], f"{scores[place]:.6f}"))
        yield as_unicode(video), names[label], *pairs


def table(path: Path, heading: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(heading)
        writer.writerows(rows)
