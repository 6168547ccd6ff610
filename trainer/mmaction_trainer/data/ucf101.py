"""UCF101's own layout: ``videos/<class>/<video>`` and ``annotations/{classInd,trainlistNN,testlistNN}.txt``.

Class ids count from 1, lines end in CRLF, and the test list names no labels: the folder does. There is no validation
list; as in MMAction2 and in every published number, the test list is used for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from mmaction_trainer.contract.run import DataSource

from .annotations import Annotations, Sample, videos_folder
from .findings import Finding, refuse
from .holdings import Holdings

CLASSES = "annotations/classInd.txt"


def read_ucf101(holdings: Holdings, source: DataSource) -> Annotations:
    """Read one of the official splits.

    Raises:
        DataFailure: a list is missing, empty, malformed, or names an unknown class.
    """
    classes = class_names(holdings)
    ids = {name: number for number, name in enumerate(classes)}
    test = samples(holdings, "test", source.split, ids)
    return Annotations(
        root=videos_folder(source),
        train=() if source.test_alone else samples(holdings, "train", source.split, ids),
        val=() if source.test_alone else test,
        test=test,
        classes=classes,
        named_by=CLASSES,
    )


def class_names(holdings: Holdings) -> tuple[str, ...]:
    """The names in ``classInd.txt``: lines of ``<id> <name>``, ids from 1 without a gap."""
    names: list[str] = []
    wrong: list[Finding] = []
    for line in holdings.lines(CLASSES):
        number, _, name = line.text.partition(" ")
        if number != str(len(names) + 1) or not name.strip():
            wrong.append(Finding(line.where, f"{line.text!r} where class {len(names) + 1} is expected"))
        names.append(name.strip())
    refuse(wrong, accepted="lines of `<id> <class>`, ids 1, 2, 3 ... without a gap")
    return tuple(names)


def samples(
    holdings: Holdings, kind: Literal["train", "test"], split: int, ids: Mapping[str, int]
) -> tuple[Sample, ...]:
    """The lines of ``trainlistNN.txt`` or ``testlistNN.txt``; the class is the folder, and an id must agree with it."""
    read: list[Sample] = []
    unknown: list[Finding] = []
    contrary: list[Finding] = []
    for line in holdings.lines(f"annotations/{kind}list{split:02d}.txt"):
        path, number = columns(line.text)
        name = path.partition("/")[0]
        if name not in ids:
            unknown.append(Finding(line.where, f"class {name!r} of {path!r} is unknown"))
        elif number is not None and int(number) != ids[name] + 1:
            contrary.append(Finding(line.where, f"{path!r} has id {number}, and its folder is class {ids[name] + 1}"))
        else:
            read.append(Sample(path, ids[name], line.where))
    refuse(unknown, accepted=f"the classes in {CLASSES}", do="Add the class there, or take these lines off the list.")
    refuse(contrary, accepted=f"the ids in {CLASSES}", do=f"The list and {CLASSES} are of two different data sets.")
    return tuple(read)


def columns(text: str) -> tuple[str, str | None]:
    """The path and, where there is one, the id of a line."""
    path, _, number = text.rpartition(" ")
    return (path.rstrip(), number) if path and number.isdecimal() else (text, None)
