"""Files that appear whole or not at all."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from .failures import disk_failures
from .interface import OnBytes

CHUNK = 1 << 20
"""Bytes held in memory at a time by whoever reads or writes a file."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the name of a file beside ``path`` to write; it becomes ``path`` when the body succeeds, else it is removed.

    Raises:
        StorageFailure: for any OS error in the body too, as that is about this file.
        DiskFailure: the disk is full.
    """
    beside = path.with_name(unfinished_name())
    with disk_failures(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield beside
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)


def unfinished_name() -> str:
    """A name for something that is not whole yet, unlike any other."""
    return f".{uuid4().hex}.part"


def is_unfinished(name: str) -> bool:
    """Whether a name is such a one, left by a process that was killed."""
    return re.fullmatch(r"\.[0-9a-f]{32}\.part", name) is not None


def save(chunks: Iterable[bytes], path: Path, on_bytes: OnBytes | None = None, *, durable: bool = False) -> int:
    """Write chunks to a file, and return the bytes written. ``durable``: the file outlives a power cut."""
    size = 0
    with path.open("wb") as file:
        for chunk in chunks:
            size += file.write(chunk)
            if on_bytes:
                on_bytes(len(chunk))
        if durable:
            file.flush()
            os.fsync(file.fileno())
    return size


def date(path: Path, modified: int) -> None:
    """Have a file as old as the object that it is a copy of, and used just now."""
    os.utime(path, (time.time(), modified))


def read_chunks(path: Path) -> Iterator[bytes]:
    """The content of a file, CHUNK bytes at a time; only the last piece is shorter."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def digest(chunks: Iterable[bytes]) -> tuple[int, str]:
    """Size in bytes and sha256 in hex of what the chunks make up."""
    size, sha256 = 0, hashlib.sha256()
    for chunk in chunks:
        size += len(chunk)
        sha256.update(chunk)
    return size, sha256.hexdigest()
