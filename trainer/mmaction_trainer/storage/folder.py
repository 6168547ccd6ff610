"""A folder as storage: for one machine, and for a volume that every node mounts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..contract.errors import StorageFailure
from .disk import date, digest, is_unfinished, read_chunks, replacing, save
from .failures import ObjectMissing, disk_failures
from .interface import OnBytes, Stored
from .keys import join


class Folder:
    """Objects are the files below ``root``, which is made when the first one is written. Links are followed."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def uri(self) -> str:
        """The folder's path."""
        return str(self.root)

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """Every file below ``prefix``, less what a killed process left unfinished."""
        start = self._path(prefix) if prefix else self.root
        for path, found in _files(start, frozenset()):
            yield _stored(path.relative_to(self.root).as_posix(), found)

    def stat(self, key: str) -> Stored | None:
        """The file's size, or None; a folder is no object."""
        path = self._path(key)
        try:
            with _present(path):
                return _stored(key, path.stat()) if path.is_file() else None
        except ObjectMissing:
            return None

    def read(self, key: str) -> bytes:
        """The file's content."""
        return b"".join(self._chunks(key))

    def digest(self, key: str) -> Stored:
        """Size and sha256 of the file, read anew."""
        return Stored(key, *digest(self._chunks(key)))

    def write(self, key: str, content: bytes) -> None:
        """Make ``content`` the file."""
        with replacing(self._path(key)) as beside:
            save([content], beside, durable=True)

    def download(self, key: str, path: Path, on_bytes: OnBytes | None = None) -> Stored:
        """Copy the file out of the folder."""
        stored = self.stat(key)
        if stored is None:
            raise _missing(self._path(key))
        with replacing(path) as beside:
            size = save(self._chunks(key), beside, on_bytes)
            if size != stored.size:
                raise StorageFailure(self._where(key), f"{size} bytes", accepted=f"{stored.size} bytes")
            if stored.modified is not None:
                date(beside, stored.modified)
        return stored

    def upload(self, path: Path, key: str, on_bytes: OnBytes | None = None) -> Stored:
        """Copy a file into the folder, and read it back."""
        sha256 = hashlib.sha256()

        def source() -> Iterator[bytes]:
            with disk_failures(path):
                for chunk in read_chunks(path):
                    sha256.update(chunk)
                    yield chunk

        with replacing(self._path(key)) as beside:
            size = save(source(), beside, on_bytes, durable=True)
        held = self.digest(key)
        if held != Stored(key, size, sha256.hexdigest()):
            raise StorageFailure(
                self._where(key),
                f"holds {held.size} bytes, sha256 {held.sha256}",
                accepted=f"the {size} bytes that were written, sha256 {sha256.hexdigest()}",
                do="Check the disk.",
            )
        return held

    def delete(self, key: str) -> None:
        """Remove the file if it is there, and folders below the root that are empty then: S3 has no empty ones."""
        path = self._path(key)
        try:
            with _present(path):
                path.unlink()
        except ObjectMissing:
            return
        with suppress(OSError):  # the first folder that is not empty ends it
            for folder in path.parents:
                if folder == self.root:
                    break
                folder.rmdir()

    def clear_unfinished(self) -> None:
        """Remove files that were not written to their end."""
        with disk_failures(self.root):
            for path in self.root.rglob(".*.part"):
                if is_unfinished(path.name):
                    path.unlink(missing_ok=True)

    def child(self, prefix: str) -> Folder:
        """The folder ``prefix`` in this one."""
        return Folder(self._path(prefix))

    def _path(self, key: str) -> Path:
        return self.root / join(self.uri, "", key)

    def _where(self, key: str) -> str:
        return str(self._path(key))

    def _chunks(self, key: str) -> Iterator[bytes]:
        path = self._path(key)
        with _present(path):
            yield from read_chunks(path)


@contextmanager
def _present(path: Path) -> Iterator[None]:
    """A path that leads to no file is an absent object, as it would be in S3."""
    try:
        with disk_failures(path):
            yield
    except StorageFailure as failure:
        if isinstance(failure.__cause__, FileNotFoundError | NotADirectoryError | IsADirectoryError):
            raise _missing(path) from failure.__cause__
        raise


def _missing(path: Path) -> ObjectMissing:
    return ObjectMissing(str(path), "no such object")


def _stored(key: str, found: os.stat_result) -> Stored:
    return Stored(key, found.st_size, modified=int(found.st_mtime))


def _files(folder: Path, above: frozenset[tuple[int, int]]) -> Iterator[tuple[Path, os.stat_result]]:
    """Every file below ``folder``, and what the disk says of it.

    Args:
        above: the folders on the way, so that no link leads round.
    """
    try:
        with _present(folder):
            here = folder.stat()
            entries = sorted(folder.iterdir())
    except ObjectMissing:
        return
    identity = (here.st_dev, here.st_ino)
    if identity in above:
        return
    for entry in entries:
        if is_unfinished(entry.name):
            continue
        with disk_failures(entry):
            is_folder, is_file = entry.is_dir(), entry.is_file()
        if is_folder:
            yield from _files(entry, above | {identity})
        elif is_file:
            with suppress(ObjectMissing):
                yield entry, _stat(entry)


def _stat(path: Path) -> os.stat_result:
    with _present(path):
        return path.stat()
