"""The checkpoint that a training starts from, fetched once a machine."""

from __future__ import annotations

import hashlib
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from mmaction_trainer.contract.errors import StorageFailure
from mmaction_trainer.contract.pod import WEIGHTS as MIRROR
from mmaction_trainer.contract.run import PRETRAINED, Weights
from mmaction_trainer.storage import ObjectMissing, open_storage

PATIENCE = 60.0
"""Seconds that each wait for a server may take."""


def fetch(weights: Weights, run_dir: Path, cache: Path) -> Path:
    """Bring the checkpoint to ``pretrained/`` in the run directory.

    Raises:
        StorageFailure: it cannot be fetched, or is not the file that its publisher states.
    """
    placed = run_dir / PRETRAINED / weights.name
    placed.parent.mkdir(exist_ok=True)
    placed.unlink(missing_ok=True)
    placed.symlink_to(bring(weights, cache).resolve())
    return placed


def bring(weights: Weights, cache: Path) -> Path:
    """Have the checkpoint on this machine, as ``fetch`` does; where it lies."""
    cached = place(weights, cache)
    if not cached.exists():
        cached.parent.mkdir(parents=True, exist_ok=True)
        beside = cached.with_name(f".{cached.name}.{os.getpid()}")
        try:
            download(weights, beside)
            check(weights, beside)
            beside.replace(cached)
        finally:
            beside.unlink(missing_ok=True)
    return cached


def place(weights: Weights, cache: Path) -> Path:
    """Where a checkpoint lies on this machine once it was fetched."""
    return cache / hashlib.sha256(weights.uri.encode()).hexdigest()[:16] / weights.name


def apart(uri: str) -> tuple[str, str]:
    """The storage and the name of a file that does not come over HTTP."""
    folder, _, name = uri.rpartition("/")
    return folder or ".", name


def download(weights: Weights, path: Path) -> None:
    """Fetch from the mirror if there is one that has it, else from where the weights are published."""
    if mirror := os.environ.get(MIRROR):
        try:
            open_storage(mirror).download(weights.name, path)
        except ObjectMissing:
            pass
        else:
            return
    if weights.uri.startswith(("http://", "https://")):
        download_http(weights.uri, path)
        return
    folder, name = apart(weights.uri)
    try:
        open_storage(folder).download(name, path)
    except ObjectMissing as missing:
        raise ObjectMissing(missing.where, missing.found, do="Correct spec.model.pretrained.") from None


def download_http(url: str, path: Path) -> None:
    """Fetch over HTTP.

    Raises:
        StorageFailure: the server refuses or cannot be reached.
    """
    with opened(url) as response, path.open("wb") as file:
        shutil.copyfileobj(response, file, 1 << 20)


@contextmanager
def opened(url: str) -> Iterator[HTTPResponse]:
    """The answer of an HTTP server, to be read in the body.

    Raises:
        StorageFailure: the server refuses, cannot be reached, or breaks off.
    """
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:
            yield response
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        raise StorageFailure(
            url,
            f"cannot be fetched: {getattr(error, 'reason', error)}",
            do=f"Check the network, or set {MIRROR} (on a cluster, a key of the job's Secret) to a folder or s3:// "
            f"prefix that holds {url.rpartition('/')[2]}.",
        ) from None


def check(weights: Weights, path: Path) -> None:
    """Compare the file with the digest in its name.

    Raises:
        StorageFailure: it is another file.
    """
    if weights.sha256_prefix is None:
        return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(weights.sha256_prefix):
        raise StorageFailure(
            weights.uri, f"sha256 begins with {digest[:8]}", accepted=weights.sha256_prefix, do="The file is not whole."
        )
