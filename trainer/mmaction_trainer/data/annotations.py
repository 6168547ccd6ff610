"""What every format is read into: the samples of the splits, and the classes that their labels count."""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field

from mmaction_trainer.contract.errors import DataFailure
from mmaction_trainer.contract.run import DataSource


@dataclass(frozen=True)
class Sample:
    """One line of a list.

    Args:
        path: the video, or the folder of frames, below ``Annotations.root``.
        label: class id from 0.
        where: the line that says so, such as ``train.txt:12``; no part of what a sample equals.
        frames: how many frames the folder holds; None for a video.
    """

    path: str
    label: int
    where: str = field(compare=False)
    frames: int | None = None


@dataclass(frozen=True)
class Annotations:
    """All that a data set says about its videos.

    Args:
        root: the folder below the data's URI that paths are relative to; empty for the URI itself.
        classes: one name a class id.
        named_by: the file or folder that names the classes; empty where nothing does.
        warnings: what a user should know and can live with.
        train, val: empty where the source is of a test alone.
    """

    root: str
    test: tuple[Sample, ...]
    classes: tuple[str, ...]
    named_by: str
    warnings: tuple[str, ...] = ()
    train: tuple[Sample, ...] = ()
    val: tuple[Sample, ...] = ()

    @property
    def splits(self) -> Mapping[str, tuple[Sample, ...]]:
        """The samples by split, in the order in which splits are used; those that there are."""
        splits = {"train": self.train, "val": self.val, "test": self.test}
        return {split: samples for split, samples in splits.items() if samples}

    @property
    def samples(self) -> tuple[Sample, ...]:
        """Every line of every list, once even where a list serves two splits."""
        return tuple({sample.where: sample for samples in self.splits.values() for sample in samples}.values())

    @property
    def digest(self) -> str:
        """sha256 over paths and labels of each split, whatever order or format they were listed in."""
        return digest_of(self.splits)

    @property
    def tested(self) -> str:
        """The same of the tested split alone."""
        return digest_of({"test": self.test})


def digest_of(splits: Mapping[str, tuple[Sample, ...]]) -> str:
    """sha256 over paths and labels of splits, whatever order or format they were listed in."""
    rows = sorted(
        [split, sample.path, sample.label, sample.frames or 0]
        for split, samples in splits.items()
        for sample in samples
    )
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def videos_folder(source: DataSource) -> str:
    """The folder below the data's URI that listed paths are relative to; empty for the URI itself.

    Raises:
        DataFailure: it lies outside the data set.
    """
    folder = posixpath.normpath(source.videos or "videos")
    if folder.startswith(("/", "..")):
        raise DataFailure("spec.dataset.videos", f"{source.videos!r} leads out of the data set")
    return "" if folder == "." else folder
