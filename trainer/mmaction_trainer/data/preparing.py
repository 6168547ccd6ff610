"""The steps from a data source to what a training reads, in the order in which a mistake costs least.

Lists first, then what storage lists, then a few videos, then all of them. The lists that training reads are written
last, so that a run directory has them only if everything that they name is there.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mmaction_trainer.contract.document import replace_file
from mmaction_trainer.contract.errors import DataFailure
from mmaction_trainer.contract.run import CLASSES, LISTS, VIDEOS, DataSource
from mmaction_trainer.storage import Storage, open_storage

from . import checks
from .annotations import Annotations, Sample
from .decoding import SAMPLE, check_decodes, spread
from .fetching import Report, fetch, home
from .folders import read_folders
from .holdings import Holdings
from .lists import read_lists
from .naming import link_videos, listed_name
from .tables import read_tables
from .ucf101 import read_ucf101

FORMATS: Mapping[str, Callable[[Holdings, DataSource], Annotations]] = {
    "ucf101": read_ucf101,
    "list": read_lists,
    "folders": read_folders,
    "csv": read_tables,
}


@dataclass(frozen=True)
class Prepared:
    """What a data set turned out to be.

    Args:
        counts: samples of each split.
        classes: one name a class id.
        digest: sha256 over paths and labels of each split.
        tested: the same of the tested split alone. Numbers of two runs compare only if it is the same.
    """

    counts: Mapping[str, int]
    classes: tuple[str, ...]
    digest: str
    tested: str


@dataclass(frozen=True)
class Examined:
    """A data set whose lists hold: its annotations, and the bytes of every file that they need, by key in storage."""

    annotations: Annotations
    sizes: Mapping[str, int]


def prepare(source: DataSource, run_dir: Path, cache: Path, report: Report) -> Prepared:
    """Check a data set, bring its videos here, and write the lists that training reads.

    Raises:
        DataFailure: something in it is missing, wrong or broken; says where, and what to do.
        StorageFailure: storage cannot be read.
        ConfigFailure: the URI names no storage, or decord is not installed.
        DiskFailure: the videos do not fit on this machine.
    """
    storage = open_storage(source.uri)
    data = examined(storage, source, cache, report)
    here = home(storage, cache)
    fetch(storage, data.sizes, here, report)
    write(data.annotations, here, run_dir, media=source.media)
    return summary(data.annotations)


def examined(storage: Storage, source: DataSource, cache: Path, report: Report) -> Examined:
    """Read and check a data set, to the first thing that is wrong."""
    holdings = Holdings(storage)
    annotations = listed(holdings, source, report)
    checks.classes_agree(annotations, source.num_classes)
    checks.labels_in_range(annotations, source.num_classes)
    data = there(annotations, holdings, source)
    if source.media == "videos":
        decode_some(storage, data, home(storage, cache), report)
    return data


def listed(holdings: Holdings, source: DataSource, report: Report) -> Annotations:
    """Read the lists."""
    report(0, 0, "reading the lists")
    if source.media == "frames" and source.format != "list":
        raise DataFailure(
            "spec.dataset.format",
            f"{source.format}, and this config reads folders of frames",
            accepted="list",
            do="List them as `<folder> <frames> <label>`, or take a config that reads videos.",
        )
    return FORMATS[source.format](holdings, source)


def there(annotations: Annotations, holdings: Holdings, source: DataSource) -> Examined:
    """See that everything listed is there, each sample under the path that it has there."""
    sizes = holdings.sizes(annotations.root)
    look = checks.frames_there if source.media == "frames" else checks.videos_there
    annotations = look(annotations, sizes, holdings.storage.uri)
    return Examined(annotations, files_of(annotations.samples, annotations.root, sizes))


def files_of(samples: Iterable[Sample], root: str, sizes: Mapping[str, int]) -> Mapping[str, int]:
    """The bytes of every file that samples need, by key in storage: videos, or all that lies in folders of frames."""
    paths = {sample.path for sample in samples}
    return {
        posixpath.join(root, path): size
        for path, size in sizes.items()
        if path in paths or posixpath.dirname(path) in paths
    }


def decode_some(storage: Storage, data: Examined, here: Path, report: Report) -> None:
    """Fetch and decode a few videos of each split."""
    some = a_few(data.annotations)
    fetch(storage, {key: data.sizes[key] for key in some}, here, report)
    report(0, len(some), "decoding a few videos")
    check_decodes([here / key for key in some], sample=len(some))


def a_few(annotations: Annotations) -> list[str]:
    """Keys in storage of a few videos of each split, sorted."""
    some = (sample for samples in annotations.splits.values() for sample in spread(samples, SAMPLE))
    return sorted({posixpath.join(annotations.root, sample.path) for sample in some})


def write(annotations: Annotations, here: Path, run_dir: Path, *, media: str) -> None:
    """Write what training reads: the folder of videos, the names of the classes, and at last the lists."""
    names = {sample.path: listed_name(sample.path, extension=media == "videos") for sample in annotations.samples}
    link_videos(run_dir / VIDEOS, here / annotations.root, names)
    replace_file(run_dir / CLASSES, encoded(annotations.classes))
    for split, samples in annotations.splits.items():
        replace_file(run_dir / LISTS[split], encoded(line(sample, names[sample.path]) for sample in samples))


def line(sample: Sample, name: str) -> str:
    """A sample as a line of a list, as VideoDataset or RawframeDataset reads it."""
    columns = [name, sample.label] if sample.frames is None else [name, sample.frames, sample.label]
    return " ".join(map(str, columns))


def encoded(lines: Iterable[str]) -> bytes:
    """Lines as the bytes of a text file."""
    return b"".join(os.fsencode(f"{line}\n") for line in lines)


def summary(annotations: Annotations) -> Prepared:
    """The annotations in numbers."""
    return Prepared(
        counts={split: len(samples) for split, samples in annotations.splits.items()},
        classes=annotations.classes,
        digest=annotations.digest,
        tested=annotations.tested,
    )
