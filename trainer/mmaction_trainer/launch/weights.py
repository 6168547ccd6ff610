"""The checkpoint that a training starts from, fetched once a machine."""

from __future__ import annotations

import hashlib
import os
import shutil
import urllib.error
import urllib.request
from pathlib import Path

from mmaction_trainer.contract.errors import StorageFailure
from mmaction_trainer.contract.run import PRETRAINED, Weights
from mmaction_trainer.storage import ObjectMissing, open_storage

MIRROR = "TRAINJOB_WEIGHTS"
"""Environment variable: the URI of a folder or prefix that holds checkpoints by file name, for machines that cannot
reach the zoo's server."""


def fetch(weights: Weights, run_dir: Path, cache: Path) -> Path:
    """Bring the checkpoint to ``pretrained/`` in the run directory.

    Raises:
        StorageFailure: it cannot be fetched, or is not the file that its publisher states.
    """
    cached = cache / hashlib.sha256(weights.uri.encode()).hexdigest()[:16] / weights.name
    if not cached.exists():
        cached.parent.mkdir(parents=True, exist_ok=True)
        beside = cached.with_name(f".{cached.name}.{os.getpid()}")
        try:
            download(weights, beside)
            check(weights, beside)
            beside.replace(cached)
        finally:
            beside.unlink(missing_ok=True)
    placed = run_dir / PRETRAINED / weights.name
    placed.parent.mkdir(exist_ok=True)
    placed.unlink(missing_ok=True)
    placed.symlink_to(cached.resolve())
    return placed


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
    prefix, _, name = weights.uri.rpartition("/")
    open_storage(prefix or ".").download(name, path)


def download_http(url: str, path: Path) -> None:
    """Fetch over HTTP.

    Raises:
        StorageFailure: the server refuses or cannot be reached.
    """
    try:
        with urllib.request.urlopen(url, timeout=60) as response, path.open("wb") as file:
            shutil.copyfileobj(response, file, 1 << 20)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise StorageFailure(
            url,
            f"cannot be fetched: {getattr(error, 'reason', error)}",
            do=f"Check the network, or set {MIRROR} to a folder or s3:// prefix that holds {url.rpartition('/')[2]}.",
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
