"""The videos on this machine: a folder is used where it is, and from anywhere else each file is fetched once.

The cache is one folder a data URI, named by its digest, with the files at their paths below that URI. A file is there
if its size is that in storage; a download is put in its place only when it is whole.
"""

from __future__ import annotations

import hashlib
import itertools
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from mmaction_trainer.contract.errors import DiskFailure
from mmaction_trainer.storage import Storage, download_many
from mmaction_trainer.storage.folder import Folder

Report = Callable[[int, int, str], None]
"""Told how many of how many files are done, and what is being done to them."""


def home(storage: Storage, cache: Path) -> Path:
    """Where the files of a source lie, or will lie, on this machine."""
    if isinstance(storage, Folder):
        return storage.root
    return cache / hashlib.sha256(storage.uri.encode()).hexdigest()[:16]


def fetch(storage: Storage, sizes: Mapping[str, int], here: Path, report: Report) -> None:
    """Bring files here that are not here yet.

    Args:
        sizes: key in storage and bytes of each file wanted.
        here: the source's ``home``.

    Raises:
        DiskFailure: they do not fit.
        StorageFailure: one of them does not come.
    """
    absent = {key: size for key, size in sizes.items() if not is_whole(here / key, size)}
    if isinstance(storage, Folder) or not absent:
        return
    fits(sum(absent.values()), here)
    counted = itertools.count(len(sizes) - len(absent))
    total = len(sizes)

    def tell(*_: object) -> None:
        report(next(counted), total, "fetching videos")

    tell()
    download_many(storage, [(key, here / key) for key in absent], tell)


def is_whole(path: Path, size: int) -> bool:
    """Whether a fetched file is there with the bytes it should have."""
    try:
        return path.stat().st_size == size
    except (FileNotFoundError, NotADirectoryError):
        return False


def fits(needed: int, folder: Path) -> None:
    """See that a disk has room before an hour is spent on filling it.

    Raises:
        DiskFailure: it has not.
    """
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DiskFailure(
            str(folder),
            f"{needed / 1e6:,.1f} MB of videos to fetch, and {free / 1e6:,.1f} MB are free",
            do="Make room, or put the cache on another disk.",
        )
