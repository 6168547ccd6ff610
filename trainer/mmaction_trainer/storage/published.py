"""Results as they are published, checked, fetched and found again.

The order is the promise. An old manifest goes first, the objects follow, each confirmed by storage, and the manifest
comes last: at no moment, and after no crash, does a manifest stand over objects that are not all there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from pydantic import JsonValue

from ..contract.errors import ConfigFailure, StorageFailure
from ..contract.run import JobIdentity
from .disk import digest, read_chunks, unfinished_name
from .failures import ObjectMissing, disk_failures
from .interface import OnBytes, Storage, Stored
from .keys import key_fault
from .manifest import MANIFEST, Entry, Manifest, Problem, compare, differences, several
from .parallel import in_parallel


@dataclass(frozen=True)
class JobResults:
    """What lies below ``<namespace>/<name>/<uid>`` of a storage.

    ``manifest`` is None where there is none, or none that can be read; ``fault`` says why the results are not whole.
    """

    prefix: str
    storage: Storage
    manifest: Manifest | None
    fault: str = ""

    @property
    def complete(self) -> bool:
        """Whether every object of the manifest is there, by name and size; ``verify`` checks the content too."""
        return not self.fault


def publish(
    storage: Storage,
    folder: Path,
    paths: Iterable[str],
    job: JobIdentity,
    summary: Mapping[str, JsonValue],
    on_bytes: OnBytes | None = None,
) -> str:
    """Upload files of ``folder`` (``paths`` are relative to it) and then their manifest; return the manifest's sha256.

    Raises:
        StorageFailure: a file is missing, or storage does not confirm to hold what was sent; no manifest
            is left over it.
    """
    chosen = _chosen(folder, paths)
    storage.delete(MANIFEST)

    def upload(path: str, on_bytes: OnBytes) -> Entry:
        held = storage.upload(folder / path, path, on_bytes)
        return Entry(path=path, size=held.size, sha256=str(held.sha256))

    with closing(in_parallel(upload, chosen, on_bytes)) as entries:
        objects = tuple(sorted(entries, key=lambda entry: entry.path))
    manifest = Manifest(job=job, created_at=datetime.now(UTC), objects=objects, summary=dict(summary))
    content = manifest.to_json().encode()
    storage.write(MANIFEST, content)
    if storage.read(MANIFEST) != content:
        storage.delete(MANIFEST)
        raise StorageFailure(f"{storage.uri}/{MANIFEST}", "does not hold what was written", do="Check the storage.")
    return hashlib.sha256(content).hexdigest()


def read_manifest(storage: Storage) -> Manifest:
    """The manifest of published results.

    Raises:
        ObjectMissing: nothing was published here, or not to its end.
        StorageFailure: it cannot be read.
    """
    return Manifest.parse(storage.read(MANIFEST), f"{storage.uri}/{MANIFEST}")


def verify(storage: Storage, on_bytes: OnBytes | None = None) -> list[Problem]:
    """Read every object of the manifest back, and return those that differ from it, by path.

    Raises:
        ObjectMissing: there is no manifest.
    """

    def check(entry: Entry, on_bytes: OnBytes) -> Problem | None:
        try:
            held = storage.digest(entry.path)
        except ObjectMissing:
            return compare(entry, None)
        on_bytes(held.size)
        return compare(entry, held)

    with closing(in_parallel(check, read_manifest(storage).objects, on_bytes)) as problems:
        return sorted(filter(None, problems), key=lambda problem: problem.path)


def fetch(storage: Storage, folder: Path, on_bytes: OnBytes | None = None, *, verify: bool = True) -> Manifest:
    """Download published results to ``folder``, the manifest included, and return the manifest.

    Files arrive in a hidden folder in ``folder`` and are moved when all are there, the manifest last.

    Args:
        verify: compare the content of each file with its sha256, not only its size.

    Raises:
        StorageFailure: objects are missing or differ from the manifest (the first are named); nothing of them is in
            ``folder``.
    """
    content = storage.read(MANIFEST)
    manifest = Manifest.parse(content, f"{storage.uri}/{MANIFEST}")
    made = not folder.exists()
    arriving = folder / unfinished_name()
    try:
        with disk_failures(folder):
            arriving.mkdir(parents=True)
        if problems := _receive(storage, manifest, arriving, on_bytes, verify):
            raise StorageFailure(storage.uri, several(problems), do="Publish the results again, or take another copy.")
        with disk_failures(folder):
            (arriving / MANIFEST).write_bytes(content)
            (folder / MANIFEST).unlink(missing_ok=True)
            for path in (*(entry.path for entry in manifest.objects), MANIFEST):
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                os.replace(arriving / path, folder / path)
    finally:
        shutil.rmtree(arriving, ignore_errors=True)
        if made:
            with suppress(OSError):  # It is removed only when nothing arrived.
                folder.rmdir()
    return manifest


def results(storage: Storage) -> Iterator[JobResults]:
    """Everything that jobs left below a results URI, complete or not, as it is read; in no promised order."""
    listed = (stored for stored in storage.list() if stored.key.count("/") >= 3)
    groups = (
        (prefix, {stored.key.removeprefix(f"{prefix}/"): stored for stored in group})
        for prefix, group in groupby(listed, key=lambda stored: "/".join(stored.key.split("/")[:3]))
    )
    yield from in_parallel(lambda group, _: _job_results(storage.child(group[0]), *group), groups)


def results_at(storage: Storage) -> JobResults:
    """What a job left here, whether or not it is whole."""
    return _job_results(storage, "", {stored.key: stored for stored in storage.list()})


def _chosen(folder: Path, paths: Iterable[str]) -> list[str]:
    chosen = sorted(set(paths) - {MANIFEST})
    for path in chosen:
        if fault := key_fault(path):
            raise ConfigFailure(str(folder), f"path {path!r} {fault}")
        if not (folder / path).is_file():
            raise StorageFailure(str(folder / path), "no such file")
    return chosen


def _receive(
    storage: Storage, manifest: Manifest, folder: Path, on_bytes: OnBytes | None, verify: bool
) -> list[Problem]:
    def receive(entry: Entry, on_bytes: OnBytes) -> Problem | None:
        try:
            held = storage.download(entry.path, folder / entry.path, on_bytes)
        except ObjectMissing:
            return compare(entry, None)
        if verify:
            with disk_failures(folder / entry.path):
                held = Stored(entry.path, *digest(read_chunks(folder / entry.path)))
        return compare(entry, held)

    with closing(in_parallel(receive, manifest.objects, on_bytes)) as problems:
        return sorted(filter(None, problems), key=lambda problem: problem.path)


def _job_results(storage: Storage, prefix: str, held: Mapping[str, Stored]) -> JobResults:
    if MANIFEST not in held:
        return JobResults(prefix, storage, None, f"no {MANIFEST}: the job has not ended, or failed before it published")
    content = storage.read(MANIFEST)
    try:
        manifest = Manifest.parse(content, f"{storage.uri}/{MANIFEST}")
    except StorageFailure as failure:
        return JobResults(prefix, storage, None, failure.found)
    problems = differences(manifest.objects, held)
    return JobResults(prefix, storage, manifest, several(problems))
