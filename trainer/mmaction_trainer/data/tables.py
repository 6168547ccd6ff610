"""csv files: with the columns path and label, or with Kinetics' own.

A label is a class name or, where all labels of train are whole numbers, a class id from 0. Names are numbered in
alphabetical order of the train file, as MMAction2 does for Kinetics. Where there is none, for a test alone, the tested
file says which labels there are: as many as the model has, so that their numbers are the same.
"""

from __future__ import annotations

import csv
import io
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mmaction_trainer.contract.errors import DataFailure
from mmaction_trainer.contract.run import DataSource

from .annotations import Annotations, Sample, videos_folder
from .findings import Finding, refuse
from .holdings import Holdings
from .lists import class_names

PLAIN = ("path", "label")
KINETICS = ("label", "youtube_id", "time_start", "time_end")
ACCEPTED = f"a header with the columns {','.join(PLAIN)} or {','.join(KINETICS)}[,split]"
SPLIT_NAMES = {"train": ("train",), "val": ("val", "validate", "validation"), "test": ("test",)}
ID = re.compile(r"-?\d+")


@dataclass(frozen=True)
class Row:
    """A row: its label as written, the names that its video may have, and the split that the row itself claims."""

    where: str
    label: str
    names: tuple[str, ...]
    split: str


def read_tables(holdings: Holdings, source: DataSource) -> Annotations:
    """Read the csv files that the source names.

    Raises:
        DataFailure: a file is missing, empty or malformed, or has a label that train lacks.
    """
    root = videos_folder(source)
    train, val = (source.train or "train.csv", "train"), (source.val or "val.csv", "val")
    test = (source.test, "test") if source.test else val
    numbers = test if source.test_alone and not holdings.holds(train[0]) else train
    labels = {row.label for row in rows(holdings, *numbers)}
    if all(ID.fullmatch(label) for label in labels):
        ids = None
        classes, named_by = class_names(holdings, posixpath.dirname(numbers[0]), source.num_classes)
    else:
        classes, named_by = tuple(sorted(labels)), numbers[0]
        ids = {name: number for number, name in enumerate(classes)}
    there = holdings.sizes(root)
    alone = source.test_alone
    return Annotations(
        root=root,
        train=() if alone else samples(rows(holdings, *train), ids, there),
        val=() if alone else samples(rows(holdings, *val), ids, there),
        test=samples(rows(holdings, *test), ids, there),
        classes=classes,
        named_by=named_by,
    )


def samples(rows: tuple[Row, ...], ids: Mapping[str, int] | None, there: Mapping[str, int]) -> tuple[Sample, ...]:
    """Number the labels, and take of each row's names the one that is there."""
    numbered = [(row, number_of(row.label, ids)) for row in rows]
    refuse(
        [Finding(row.where, f"label {row.label!r} is unknown") for row, number in numbered if number is None],
        accepted="the labels of the train file" if ids else "class ids from 0, as in the train file",
    )
    return tuple(
        Sample(next((name for name in row.names if name in there), row.names[0]), number, row.where)
        for row, number in numbered
        if number is not None
    )


def number_of(label: str, ids: Mapping[str, int] | None) -> int | None:
    """The class id of a label; None for one that is unknown."""
    if ids is not None:
        return ids.get(label)
    return int(label) if ID.fullmatch(label) else None


def rows(holdings: Holdings, name: str, split: str) -> tuple[Row, ...]:
    """The rows of a file. Where one file holds several splits by its column ``split``, only those of this one."""
    read: list[Row] = []
    wrong: list[Finding] = []
    for where, cells in cells_of(name, holdings.text(name)):
        if row := row_of(where, cells):
            read.append(row)
        else:
            wrong.append(Finding(where, f"{','.join(cells.values())!r} lacks something"))
    refuse(wrong, accepted="a path and a label, or a label, a YouTube id and two whole numbers of seconds")
    if len({row.split for row in read}) > 1:
        read = [row for row in read if row.split in SPLIT_NAMES[split]]
    if not read:
        raise DataFailure(name, f"lists nothing for {split}", accepted="at least one row")
    return tuple(read)


def cells_of(name: str, text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row that is not blank as its place and its cells by column."""
    lines = csv.reader(io.StringIO(text, newline=""))
    try:
        header = [column.strip().lower() for column in next(lines, [])]
        if not set(header).issuperset(PLAIN) and not set(header).issuperset(KINETICS):
            raise DataFailure(
                f"{name}:1",
                f"the columns are {','.join(header) or 'none'}",
                accepted=ACCEPTED,
                do="A file of path,label without a header is format: list.",
            )
        for row in lines:
            if any(row):
                yield f"{name}:{lines.line_num}", dict(zip(header, map(str.strip, row), strict=False))
    except csv.Error as error:
        raise DataFailure(f"{name}:{lines.line_num}", f"not csv: {error}") from None


def row_of(where: str, cells: Mapping[str, str]) -> Row | None:
    """A row; None where it lacks something.

    Kinetics names a video ``<id>_<start>_<end>.mp4``, six digits a time, and copies of it keep videos in one folder
    or in a folder a class, with spaces or underscores in its name.
    """
    label, split = " ".join(cells.get("label", "").split()), cells.get("split", "")
    if path := cells.get("path"):
        return Row(where, label, (path,), split) if label else None
    video, start, end = (cells.get(column, "") for column in KINETICS[1:])
    if not (label and video and start.isdecimal() and end.isdecimal()):
        return None
    name = f"{video}_{int(start):06d}_{int(end):06d}.mp4"
    return Row(where, label, (name, f"{label}/{name}", f"{label.replace(' ', '_')}/{name}"), split)
