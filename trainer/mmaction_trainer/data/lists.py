"""Text files of ``<path> <label>`` lines, as MMAction2 itself reads, and of ``<folder> <frames> <label>`` for frames.

Columns are separated by a comma or white space, and the label is the last one, so that a path may hold spaces.
"""

from __future__ import annotations

import posixpath
import re

from mmaction_trainer.contract.run import DataSource

from .annotations import Annotations, Sample, videos_folder
from .findings import Finding, refuse
from .holdings import Holdings

VIDEO = re.compile(r"(?P<path>.+?)\s*[,\s]\s*(?P<label>-?\d+)")
FRAMES = re.compile(r"(?P<path>.+?)\s*[,\s]\s*(?P<frames>[1-9]\d*)\s*[,\s]\s*(?P<label>-?\d+)")
CLASS_FILES = ("classes.txt", "label_map.txt")


def read_lists(holdings: Holdings, source: DataSource) -> Annotations:
    """Read the lists that the source names.

    Raises:
        DataFailure: a list is missing, empty or malformed.
    """
    train, val = source.train or "train.txt", source.val or "val.txt"
    tested = source.test or val
    beside = tested if source.test_alone else train
    classes, named_by = class_names(holdings, posixpath.dirname(beside), source.num_classes)
    test = samples(holdings, tested, source)
    return Annotations(
        root=videos_folder(source),
        train=() if source.test_alone else samples(holdings, train, source),
        val=() if source.test_alone else test if tested == val else samples(holdings, val, source),
        test=test,
        classes=classes,
        named_by=named_by,
    )


def samples(holdings: Holdings, name: str, source: DataSource) -> tuple[Sample, ...]:
    """The lines of one list."""
    form = FRAMES if source.media == "frames" else VIDEO
    read: list[Sample] = []
    wrong: list[Finding] = []
    for line in holdings.lines(name):
        if columns := form.fullmatch(line.text):
            frames = int(columns["frames"]) if source.media == "frames" else None
            read.append(Sample(columns["path"], int(columns["label"]), line.where, frames))
        else:
            wrong.append(Finding(line.where, f"{line.text!r} is not a line of a list"))
    columns_of = "<folder> <frames> <label>" if source.media == "frames" else "<path> <label>"
    refuse(wrong, accepted=f"lines of `{columns_of}`, separated by a space or a comma, the label a class id from 0")
    return tuple(read)


def class_names(holdings: Holdings, folder: str, num_classes: int) -> tuple[tuple[str, ...], str]:
    """The names in ``classes.txt`` or ``label_map.txt`` beside the lists, and that file; else the ids themselves."""
    for name in (posixpath.join(folder, file) for file in CLASS_FILES):
        if holdings.holds(name):
            return tuple(line.text for line in holdings.lines(name)), name
    return tuple(str(number) for number in range(num_classes)), ""
