"""The videos that a node has of storage, shared by all attempts that run there.

    ROOT/<data set>/...      one folder a data URI, named by its digest: files at their paths below that URI
    ROOT/.needs/<id>/        an attempt's: which files it needs, and, half written, those that it fetches just now
    ROOT/.locks/             whose turn it is to make room, or to fetch a file

A file is whole if its size and age are those of the object in storage; it is written in its attempt's own folder and
put in its place when it is. Locks are the kernel's (flock): they end with the processes that hold them, however these
end. So what is needed is what is named by a list whose lock is held, and any other list was left by a process that is
gone: who makes room next removes it, with all that was half written. Files that nobody needs go where room is needed,
those first that were used longest ago. That is when an attempt last began to need them: file systems are slow to note
what is read, or never do. On NFS, locks work from version 4 on.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO
from uuid import uuid4

from mmaction_trainer.contract.errors import DiskFailure, StorageFailure
from mmaction_trainer.storage import OnBytes, Storage, Stored
from mmaction_trainer.storage.failures import disk_failures

NEEDS, LOCKS = ".needs", ".locks"
NEEDED = "needed"
MAKING_ROOM = "room"
LOCK_DIGITS = 4
"""Of a file's digest, in the name of its lock: locks are never removed, and two files seldom have to share one."""
ROUNDED = 1
"""Seconds by which a listing and an answer may differ about when an object was modified: servers round."""
SECONDS_BETWEEN_TRIES = 0.05


class Cache:
    """The cache as one attempt uses it; what it needs stays until ``close``, or the end of this process.

    Args:
        root: its folder, made when something is to be fetched.
        limit: bytes that it may take; None for as many as the disk has.
    """

    def __init__(self, root: Path, limit: int | None = None) -> None:
        self.root, self.limit = root, limit
        self.own = root / NEEDS / uuid4().hex
        self.needed: dict[str, int] = {}
        self.list: TextIO | None = None

    @property
    def descriptors(self) -> tuple[int, ...]:
        """File descriptors that keep what is needed for as long as a process has them open."""
        return (self.list.fileno(),) if self.list else ()

    def need(self, here: Path, files: Mapping[str, Stored]) -> dict[str, Stored]:
        """Keep files from now on, and have room for those that are not here.

        Args:
            here: the folder of their data set.
            files: by their key in storage.

        Returns:
            Those that are not here.

        Raises:
            DiskFailure: they do not fit, whatever is removed.
        """
        with disk_failures(self.root), self._turn(MAKING_ROOM):
            others = self._needed_by_others()
            mine = {str((here / key).relative_to(self.root)): file.size for key, file in files.items()}
            absent = {key: file for key, file in files.items() if not used(here / key, file)}
            if absent:
                self._make_room(self.needed | mine, others)
            self._note(mine)
        return absent

    def bring(self, storage: Storage, here: Path, file: Stored, on_bytes: OnBytes) -> None:
        """Fetch a file, unless somebody else does: then wait until it is here.

        Raises:
            StorageFailure: it does not come, or is another one than was listed.
        """
        path, part = here / file.key, self.own / uuid4().hex
        name = hashlib.sha256(os.fsencode(path.relative_to(self.root))).hexdigest()[:LOCK_DIGITS]
        with disk_failures(path), self._turn(name, on_bytes):
            if is_whole(path, file):
                return
            try:
                storage.download(file.key, part, on_bytes)
                if not is_whole(part, file):
                    where = f"{storage.uri}/{file.key}"
                    raise StorageFailure(where, "it was replaced after it was listed", do="Run it again.")
                path.parent.mkdir(parents=True, exist_ok=True)
                os.replace(part, path)
            finally:
                part.unlink(missing_ok=True)

    def leave_empty(self, path: Path) -> None:
        """Have an empty file where one has vanished from storage: readers find it corrupt."""
        with disk_failures(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    def close(self) -> None:
        """Need nothing any more."""
        if self.list:
            shutil.rmtree(self.own, ignore_errors=True)
            self.list.close()
            self.list, self.needed = None, {}

    def fits(self, needed: int) -> None:
        """See that so many bytes are within the limit.

        Raises:
            DiskFailure: they are not.
        """
        if self.limit is not None and needed > self.limit:
            raise DiskFailure(
                str(self.root),
                f"{megabytes(needed)} of videos are needed at once, and its limit is {megabytes(self.limit)}",
                do="Raise the limit: pods.cache.limit, or $TRAINJOB_CACHE_LIMIT; or train on fewer videos.",
            )

    @contextmanager
    def _turn(self, name: str, on_bytes: OnBytes | None = None) -> Iterator[None]:
        """Let one process, and one thread of it, into the body at a time; meanwhile ``on_bytes`` may end the wait."""
        (self.root / LOCKS).mkdir(parents=True, exist_ok=True)
        with (self.root / LOCKS / name).open("a") as file:
            while not locked(file):
                if on_bytes:
                    on_bytes(0)
                time.sleep(SECONDS_BETWEEN_TRIES)
            yield

    def _needed_by_others(self) -> dict[str, int]:
        """Bytes of every file that others need, by path below the root. What the dead left is removed."""
        needed: dict[str, int] = {}
        for folder in (self.root / NEEDS).glob("*"):
            if folder == self.own:
                continue
            with suppress(FileNotFoundError), (folder / NEEDED).open("r+") as file:  # NFS locks what may be written
                if not locked(file):
                    needed.update(json.loads(line) for line in file)
                    continue
            shutil.rmtree(folder, ignore_errors=True)
        return needed

    def _note(self, mine: Mapping[str, int]) -> None:
        """Put files on the list of those that are needed."""
        if self.list is None:
            self.own.mkdir(parents=True, exist_ok=True)
            self.list = (self.own / NEEDED).open("a")
            locked(self.list)
        new = [(path, size) for path, size in mine.items() if self.needed.get(path) != size]
        self.list.writelines(f"{json.dumps(item)}\n" for item in new)
        self.list.flush()
        self.needed.update(new)

    def _make_room(self, mine: Mapping[str, int], others: Mapping[str, int]) -> None:
        """Remove files that nobody needs, as far as it takes for all those that somebody needs to fit."""
        own = sum(mine.values())
        self.fits(own)
        needed = {**others, **mine}
        total, free = sum(needed.values()), shutil.disk_usage(self.root).free
        if self.limit is None and total <= free:
            return  # whatever else is here
        held = dict(files_below(self.root))
        most = sum(file.st_size for file in held.values()) + free
        capacity = most if self.limit is None else min(self.limit, most)
        if total > capacity:
            raise DiskFailure(
                str(self.root),
                f"{megabytes(own)} of videos are needed here, {megabytes(total - own)} more by other runs, and there "
                f"is room for {megabytes(capacity)}",
                do="Make room or raise the limit; put the cache on another disk; or wait for the other runs.",
            )
        spare = [(file.st_atime, path) for path, file in held.items() if path not in needed and path[0] != "."]
        over = total + sum(held[path].st_size for _, path in spare) - capacity
        for _, path in sorted(spare):
            if over <= 0:
                break
            (self.root / path).unlink(missing_ok=True)
            over -= held[path].st_size


def is_whole(path: Path, file: Stored) -> bool:
    """Whether a file is here as it is in storage, by its size and age."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    as_old = file.modified is None or abs(int(found.st_mtime) - file.modified) <= ROUNDED
    return found.st_size == file.size and as_old


def used(path: Path, file: Stored) -> bool:
    """Whether a file is here as it is in storage; if so, it is noted as used now."""
    if not is_whole(path, file):
        return False
    with suppress(PermissionError):  # another user's: it counts as used when that one used it
        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
    return True


def files_below(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Every file below a folder by its path there, and what the disk says of it."""
    for folder, _, names in os.walk(root):
        for path in (Path(folder, name) for name in names):
            with suppress(FileNotFoundError):
                yield str(path.relative_to(root)), path.stat()


def locked(file: TextIO) -> bool:
    """Lock an open file if nobody else has."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def megabytes(count: int) -> str:
    """Bytes for people."""
    return f"{count / 1e6:,.1f} MB"
