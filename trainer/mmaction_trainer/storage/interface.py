"""What the rest of the product may ask of storage, whichever kind it is.

Few operations, because each one is a promise that every kind of storage must keep in the same way: a reader sees the
old object or the new one, never a part; what ``upload`` returns is what storage holds, not what was sent; nothing
leaves the place that the URI names. The contract tests run every promise against every kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

OnBytes = Callable[[int], None]
"""Told how many more bytes went over, from any thread; a negative number takes back what has to be sent again.

What it raises ends the transfer and reaches the caller; a large upload ends after the parts that are under way.
"""


@dataclass(frozen=True)
class Stored:
    """An object in storage: its name relative to the storage's URI, its size in bytes, its digest where known.

    ``modified`` is when it was last written by storage's own word, in whole seconds since 1970. Two are equal by their
    names and contents.
    """

    key: str
    size: int
    sha256: str | None = None
    modified: int | None = field(default=None, compare=False)


class Storage(Protocol):
    """A place that holds objects by name.

    A key is relative to the URI: names joined by single slashes, none of them empty, ``.`` or ``..``.
    Every operation raises ``StorageFailure`` when storage refuses, cannot be reached or is given a key that it must
    not follow, and ``DiskFailure`` when a disk is full. Safe to use from many threads.
    """

    @property
    def uri(self) -> str:
        """Where this storage is; ``open_storage`` of it gives the same storage."""

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """Every object below the folder ``prefix``, and when it was modified, in no promised order. Nothing there is no
        failure."""

    def stat(self, key: str) -> Stored | None:
        """The object's size and when it was modified, or None when there is no such object."""

    def read(self, key: str) -> bytes:
        """The whole content, for objects that fit in memory. Raises ``ObjectMissing``."""

    def digest(self, key: str) -> Stored:
        """Size and sha256 of what storage holds, by reading all of it. Raises ``ObjectMissing``."""

    def write(self, key: str, content: bytes) -> None:
        """Make ``content`` the object, in place of what it was before."""

    def download(self, key: str, path: Path, on_bytes: OnBytes | None = None) -> Stored:
        """Copy the object to a local file, which appears only when it is whole, and is as old as the object. Raises
        ``ObjectMissing``."""

    def upload(self, path: Path, key: str, on_bytes: OnBytes | None = None) -> Stored:
        """Copy a local file to storage; the answer's size and sha256 are confirmed by what storage then holds."""

    def delete(self, key: str) -> None:
        """Remove the object; an absent one is no failure."""

    def clear_unfinished(self) -> None:
        """Remove what uploads that were killed have left here; none of it is an object. One that is alive may fail."""

    def child(self, prefix: str) -> Storage:
        """The storage of the folder ``prefix`` in this one."""
