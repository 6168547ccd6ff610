"""Disk errors as failures that a user can act on, and the differences callers decide by: absent, away or refused."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..contract.errors import DiskFailure, Failure, StorageFailure

# A full disk, a used-up quota, and a file beyond the limit of the process (ulimit -f) or of the file system.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class ObjectMissing(StorageFailure):
    """Storage answered, and there is no such object."""


class StorageAway(StorageFailure):
    """Storage does not answer, or says that it cannot just now: the same may succeed later."""


@contextmanager
def disk_failures(path: Path) -> Iterator[None]:
    """Turn an OS error of the body into a failure about ``path``. A broken connection is none of the disk's."""
    try:
        yield
    except (ConnectionError, TimeoutError):
        raise
    except OSError as error:
        raise disk_failure(error, path) from error


def disk_failure(error: OSError, path: Path) -> Failure:
    """What an OS error about ``path`` means to the user."""
    found = (error.strerror or str(error)).lower()
    if error.errno in FULL:
        return DiskFailure(str(path), found, do="Free space or raise the limit, then run it again.")
    if isinstance(error, PermissionError):
        return StorageFailure(str(path), f"denied: {found}", do="Give this user access to it, or name another folder.")
    return StorageFailure(str(path), found)
