"""Checkpoints that an attempt may go on from, as they lie in storage; see ``contract.checkpoints``."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from ..contract.checkpoints import INDEX, StoredCheckpoint, StoredCheckpoints
from ..contract.errors import DataFailure, StorageFailure
from .disk import digest, read_chunks
from .interface import OnBytes, Storage


def forget(storage: Storage, keep: int | None = None) -> None:
    """Delete the checkpoints of attempts, lists first; those of the attempt ``keep`` and of later ones stay."""
    found = [stored.key for stored in storage.list() if keep is None or attempt_of(stored.key) < keep]
    for key in sorted(found, key=lambda key: not key.endswith(INDEX)):
        storage.delete(key)


def attempt_of(key: str) -> int:
    """Whose attempt an object below ``resume/`` is."""
    number = key.partition("/")[0]
    return int(number) if number.isdecimal() else 0


def found(storage: Storage, data_sha256: str) -> list[tuple[int, StoredCheckpoint]]:
    """The checkpoints that lists name, with whose attempt's they are: the one that is furthest first.

    Args:
        storage: of what attempts left.
        data_sha256: digest of the data set, as it is now.

    Raises:
        StorageFailure: a list cannot be read.
        DataFailure: they are of another data set.
    """
    every: list[tuple[int, StoredCheckpoint]] = []
    for stored in storage.list():
        if stored.key.count("/") == 1 and stored.key.endswith(f"/{INDEX}"):
            index = read_index(storage, stored.key)
            if index.data_sha256 != data_sha256:
                raise DataFailure(
                    "spec.dataset",
                    f"its lists are not those that attempt {index.attempt} trained on",
                    do="Restore them; or train on these under another name, or with spec.resume: Never.",
                )
            every += [(index.attempt, each) for each in index.checkpoints]
    return sorted(every, key=lambda each: (each[1].iteration, each[0]), reverse=True)


def read_index(storage: Storage, key: str) -> StoredCheckpoints:
    """A list of checkpoints.

    Raises:
        StorageFailure: it cannot be read.
    """
    try:
        return StoredCheckpoints.model_validate_json(storage.read(key))
    except ValidationError as error:
        raise StorageFailure(f"{storage.uri}/{key}", f"not a list of checkpoints: {error.errors()[0]['msg']}") from None


def receive(storage: Storage, checkpoint: StoredCheckpoint, work: Path, on_bytes: OnBytes | None) -> None:
    """Download a checkpoint and the best one of then.

    Raises:
        StorageFailure: one of them is missing, or is not what the list says; it is not in ``work`` then.
    """
    work.mkdir(exist_ok=True)
    for file in checkpoint.files:
        path = work / file.file
        storage.download(file.key, path, on_bytes)
        if digest(read_chunks(path)) != (file.size, file.sha256):
            path.unlink()
            raise StorageFailure(f"{storage.uri}/{file.key}", "is not what was saved", accepted=f"sha256 {file.sha256}")
