"""The videos on this machine: a folder is used where it is, and from anywhere else each file is fetched once.

``cache`` says where files lie and which of them stay; here a data set's files are brought there.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from mmaction_trainer.storage import OnBytes, Storage, Stored, in_parallel
from mmaction_trainer.storage.folder import Folder

from .cache import Cache

Report = Callable[[int, int, str], None]
"""Told how many of how many files are done, and what is being done to them."""


@dataclass(frozen=True)
class Awaited:
    """Videos that are not here yet.

    Args:
        uri: the data set's.
        here: the folder where they are awaited.
        files: those that are not here, by key in storage.
        lists: the key of every sample of each split, in the order of its list.
    """

    uri: str
    here: Path
    files: Mapping[str, Stored]
    lists: Mapping[str, tuple[str, ...]]


def home(storage: Storage, cache: Path) -> Path:
    """Where the files of a source lie, or will lie, on this machine."""
    if isinstance(storage, Folder):
        return storage.root
    return cache / hashlib.sha256(storage.uri.encode()).hexdigest()[:16]


def reserve(storage: Storage, files: Mapping[str, Stored], here: Path, cache: Cache) -> dict[str, Stored]:
    """Have room for files until this attempt ends, and keep those that are here.

    Args:
        files: by key in storage.
        here: the source's ``home``.

    Returns:
        Those that are not here.

    Raises:
        DiskFailure: they do not fit.
    """
    return {} if isinstance(storage, Folder) else cache.need(here, files)


def fetch(storage: Storage, files: Mapping[str, Stored], here: Path, cache: Cache, report: Report) -> None:
    """Bring files here that are not here yet.

    Raises:
        DiskFailure: they do not fit.
        StorageFailure: one of them does not come.
    """
    absent = reserve(storage, files, here, cache) if files else {}
    if not absent:
        return
    counted = itertools.count(len(files) - len(absent))

    def bring(file: Stored, on_bytes: OnBytes) -> None:
        cache.bring(storage, here, file, on_bytes)

    report(next(counted), len(files), "fetching videos")
    with closing(in_parallel(bring, absent.values())) as arrived:
        for _ in arrived:
            report(next(counted), len(files), "fetching videos")
