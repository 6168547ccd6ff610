"""What stands in a report, gathered once, so that the page, the Markdown and the JSON say the same."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.document import Document, as_unicode
from mmaction_trainer.contract.result import Complexity, DataReport, ModelReport, Result, Score
from mmaction_trainer.contract.run import JobIdentity, Run
from mmaction_trainer.evaluate import Measures

PACKAGES = ("mmaction-operator", "mmaction2", "mmcv-lite", "mmengine", "torch", "torchvision", "decord", "numpy")


class TrainingPoint(Document):
    """A few iterations: their mean loss and accuracy, and the learning rate of the first group of parameters."""

    step: int
    epoch: int
    iteration: int
    loss: float | None = None
    lr: float | None = None
    top1: float | None = None


class Validation(Document):
    """Accuracies of a validation, as fractions from 0 to 1."""

    epoch: int
    top1: float
    top5: float | None = None
    mean_class: float | None = None


class ClassFacts(Document):
    """One class: videos of the test that are of it, how many are found, what most others are taken for, and how often.

    ``accuracy`` is absent where the test has no video of it, ``precision`` where nothing is taken for it.
    """

    name: str
    videos: int
    found: int
    accuracy: float | None = None
    precision: float | None = None
    confused_with: str | None = None
    times: int | None = None


class Confusion(Document):
    """How many videos of a class are taken for another."""

    label: str
    taken_for: str
    videos: int


class Bin(Document):
    """Videos whose highest score lies in a range: mean score and accuracy."""

    videos: int
    confidence: float
    accuracy: float


class Calibration(Document):
    """Whether scores can be believed: the mean of the highest ones, the expected calibration error, and its bins."""

    confidence: float
    error: float
    bins: tuple[Bin, ...]


class Mistake(Document):
    """A video that was taken for another class, and with which score."""

    video: str
    label: str
    predicted: str
    score: float
    score_of_label: float


class Provenance(Document):
    """Where the numbers come from. ``checkpoint`` is a path in the results."""

    data_uri: str
    data: DataReport | None = None
    pretrained: str | None = None
    effective_lr: float | None = None
    checkpoint: str | None = None
    checkpoint_sha256: str | None = None
    config_sha256: str
    results_uri: str


class Environment(Document):
    """What trained and tested: processes on so many nodes, their kind of device, and versions of what they ran."""

    nodes: int
    processes: int
    device: str
    versions: dict[str, str]


class Facts(Document):
    """What stands in a report. What a run has not got is absent.

    ``demo`` is the path in the results of a video of the test with its scores on it. ``confusions`` are all there are,
    the most frequent first; with ``classes`` they are the whole matrix. ``reproduce`` is what to type, in a folder with
    the results and the videos, where MMAction2 is installed.
    """

    version: Literal["v1"] = "v1"
    job: JobIdentity
    model: ModelReport | None = None
    test: Score
    val: Score | None = None
    val_is_test: bool = False
    complexity: Complexity | None = None
    seconds: float | None = None
    demo: str | None = None
    training: tuple[TrainingPoint, ...] = ()
    validations: tuple[Validation, ...] = ()
    classes: tuple[ClassFacts, ...]
    confusions: tuple[Confusion, ...]
    calibration: Calibration
    mistakes: tuple[Mistake, ...]
    provenance: Provenance
    environment: Environment
    reproduce: tuple[str, ...]
    config: str

    @property
    def worst_classes(self) -> tuple[ClassFacts, ...]:
        """Classes that the test has videos of, by rising accuracy."""
        tested = (each for each in self.classes if each.accuracy is not None)
        return tuple(sorted(tested, key=lambda each: each.accuracy or 0))


def one_list(run_dir: Path) -> bool:
    """Whether the checkpoint was chosen by the videos that it was tested on."""
    val, test = (run_dir / layout.LISTS[name] for name in ("val", "test"))
    return val.exists() and test.exists() and val.read_bytes() == test.read_bytes()


def gather(run_dir: Path, run: Run, result: Result, found: Measures) -> Facts:
    """Everything that is to be said of a run that was tested.

    Args:
        run_dir: has config and metrics.
        found: what the test found.
    """
    lines = [json.loads(line) for line in (run_dir / layout.METRICS).read_text(encoding="utf-8").splitlines()]
    return Facts(
        job=run.job,
        model=result.model,
        test=test_score(run, found),
        val=result.val,
        val_is_test=result.val is not None and one_list(run_dir),
        complexity=result.complexity,
        seconds=result.seconds,
        demo=layout.DEMO if (run_dir / layout.DEMO).exists() else None,
        training=tuple(TrainingPoint.model_validate(line) for line in lines if line["stage"] == "train"),
        validations=tuple(Validation.model_validate(line) for line in lines if line["stage"] == "val"),
        classes=tuple(classes_of(found)),
        confusions=tuple(confusions_of(found)),
        calibration=calibration_of(found),
        mistakes=tuple(mistakes_of(found)),
        provenance=provenance_of(run, result),
        environment=Environment(
            nodes=run.world.nodes,
            processes=result.world_size,
            device=run.world.device,
            versions=dict(versions()),
        ),
        reproduce=tuple(reproduce(run, result)),
        config=(run_dir / layout.CONFIG).read_text(encoding="utf-8"),
    )


def test_score(run: Run, found: Measures) -> Score:
    """The test's accuracies beside their protocol."""
    return Score(
        protocol=run.test_protocol,
        top1=found.top1,
        top5=found.top5,
        mean_class=found.mean_class,
        videos=int(found.confusion.sum()),
    )


def classes_of(found: Measures) -> Iterator[ClassFacts]:
    """Each class by itself, in the order of their numbers."""
    for each, hits in zip(found.classes, np.diag(found.confusion), strict=True):
        other, times = each.confused_with or (None, None)
        yield ClassFacts(
            name=as_unicode(each.name),
            videos=each.videos,
            found=int(hits),
            accuracy=each.accuracy,
            precision=each.precision,
            confused_with=as_unicode(other) if other is not None else None,
            times=times,
        )


def confusions_of(found: Measures) -> list[Confusion]:
    """The cells of the confusion matrix beside its diagonal that are not 0, the most videos first."""
    names = [as_unicode(each.name) for each in found.classes]
    cells = [
        Confusion(label=names[row], taken_for=names[column], videos=int(found.confusion[row, column]))
        for row, column in np.argwhere(found.confusion)
        if row != column
    ]
    return sorted(cells, key=lambda cell: -cell.videos)


def calibration_of(found: Measures) -> Calibration:
    """Scores against how often they are right."""
    confidence = sum(each.videos * each.confidence for each in found.calibration) / int(found.confusion.sum())
    bins = tuple(
        Bin(videos=each.videos, confidence=each.confidence, accuracy=each.accuracy) for each in found.calibration
    )
    return Calibration(confidence=confidence, error=found.calibration_error, bins=bins)


def mistakes_of(found: Measures) -> Iterator[Mistake]:
    """The most confident mistakes, in their order."""
    for each in found.mistakes:
        yield Mistake(
            video=as_unicode(each.video),
            label=as_unicode(each.label),
            predicted=as_unicode(each.predicted),
            score=each.score,
            score_of_label=each.score_of_label,
        )


def provenance_of(run: Run, result: Result) -> Provenance:
    """Where the numbers come from."""
    return Provenance(
        data_uri=run.data.uri,
        data=result.data,
        pretrained=run.pretrained.name if run.pretrained else None,
        effective_lr=run.effective_lr,
        checkpoint=result.checkpoint,
        checkpoint_sha256=result.checkpoint_sha256,
        config_sha256=run.config_sha256,
        results_uri=run.results_uri,
    )


def reproduce(run: Run, result: Result) -> Iterator[str]:
    """What MMAction2's own tools are told to train the model again, if it was trained, and to test this one again."""
    if run.trains:
        yield f"python tools/train.py {layout.CONFIG}"
    if result.checkpoint:
        yield f"python tools/test.py {layout.CONFIG} {result.checkpoint}"


def versions() -> Iterator[tuple[str, str]]:
    """What trained and tested."""
    yield "Python", platform.python_version()
    for name in PACKAGES:
        yield name, importlib.metadata.version(name)
