"""The steps from a data source to what a training reads, in the order in which a mistake costs least.

Lists first, then what storage lists, then a few videos. The lists that training reads are written last, so that a run
directory has them only if everything that they name is there, or is in storage and has its place on this machine.
Videos that are not here are named to whoever fetches them while ranks train; frames, of which a clip takes many files,
are all fetched first.
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
from mmaction_trainer.storage import Storage, Stored, open_storage

from . import checks
from .annotations import Annotations, Sample
from .cache import Cache
from .decoding import SAMPLE, check_decodes, spread
from .fetching import Awaited, Report, fetch, home, reserve
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
        awaited: what is still to be fetched of it.
    """

    counts: Mapping[str, int]
    classes: tuple[str, ...]
    digest: str
    tested: str
    awaited: Awaited


@dataclass(frozen=True)
class Examined:
    """A data set whose lists hold: its annotations, and every file that they need, by key in storage."""

    annotations: Annotations
    files: Mapping[str, Stored]

    @property
    def sizes(self) -> Mapping[str, int]:
        """Bytes of every file, by key in storage."""
        return {key: file.size for key, file in self.files.items()}


def prepare(source: DataSource, run_dir: Path, cache: Cache, report: Report) -> Prepared:
    """Check a data set, have room for its videos, and write the lists that training reads.

    A video that is here as it was once, and has changed in storage since, is fetched at once: nobody is to read it.

    Raises:
        DataFailure: something in it is missing, wrong or broken; says where, and what to do.
        StorageFailure: storage cannot be read.
        ConfigFailure: the URI names no storage, or decord is not installed.
        DiskFailure: the videos do not fit on this machine.
    """
    storage = open_storage(source.uri)
    data = examined(storage, source, report)
    here = home(storage, cache.root)
    absent = reserve(storage, data.files, here, cache)
    if source.media == "videos":
        decode_some(storage, data, source, here, cache, report)
    at_once = absent if source.media == "frames" else {key: absent[key] for key in absent if (here / key).exists()}
    fetch(storage, at_once, here, cache, report)
    write(data.annotations, here, run_dir, media=source.media)
    awaited = Awaited(storage.uri, here, {key: absent[key] for key in absent if key not in at_once}, keys_of(data))
    return summary(data.annotations, awaited)


def keys_of(data: Examined) -> Mapping[str, tuple[str, ...]]:
    """The file of each sample by its key in storage, in the order of each split's list."""
    annotations = data.annotations
    return {
        split: tuple(posixpath.join(annotations.root, sample.path) for sample in samples)
        for split, samples in annotations.splits.items()
    }


def examined(storage: Storage, source: DataSource, report: Report) -> Examined:
    """Read and check a data set, to the first thing that is wrong."""
    holdings = Holdings(storage)
    annotations = listed(holdings, source, report)
    checks.classes_agree(annotations, source.num_classes)
    checks.labels_in_range(annotations, source.num_classes)
    return there(annotations, holdings, source)


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
    return Examined(annotations, files_of(annotations.samples, holdings.files(annotations.root)))


def files_of(samples: Iterable[Sample], files: Mapping[str, Stored]) -> Mapping[str, Stored]:
    """Every file that samples need, by key in storage: videos, or all that lies in folders of frames."""
    paths = {sample.path for sample in samples}
    return {file.key: file for path, file in files.items() if path in paths or posixpath.dirname(path) in paths}


def skipped(data: Examined, source: DataSource) -> set[str]:
    """Keys of the videos that a training goes on without if they are corrupt: those that nothing is validated on."""
    lists = keys_of(data)
    tested = {key for split, keys in lists.items() if split != "train" for key in keys}
    return set(lists.get("train", ())) - tested if source.corrupt == "skip" else set()


def decode_some(storage: Storage, data: Examined, source: DataSource, here: Path, cache: Cache, report: Report) -> None:
    """Fetch and decode a few videos of each split."""
    some = a_few(data.annotations)
    fetch(storage, {key: data.files[key] for key in some}, here, cache, report)
    report(0, len(some), "decoding a few videos")
    broken = check_decodes(
        [here / key for key in some], sample=len(some), skipped={here / key for key in skipped(data, source)}
    )
    for warning in broken:
        print(f"warning: {warning}", flush=True)


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


def summary(annotations: Annotations, awaited: Awaited) -> Prepared:
    """The annotations in numbers, and what is still to come."""
    return Prepared(
        counts={split: len(samples) for split, samples in annotations.splits.items()},
        classes=annotations.classes,
        digest=annotations.digest,
        tested=annotations.tested,
        awaited=awaited,
    )
