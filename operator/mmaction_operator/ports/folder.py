"""The folder of lock files through which all runs of a machine, of whatever user, agree on who has what.

One file a port or GPU; its flock is the lease, its text says who. Files are never removed: a name that is unlinked
and made again would be two locks. Everything happens inside the gate, a lock on the folder itself that is held for
milliseconds. So nobody sees a half-written file or a lock taken only to look, and of two runs that ask for the same
GPUs one gets them, rather than each some.

The folder is shared by users who need not trust each other: links are not followed, files are opened relative to the
folder that was checked, and a file of another user is opened without O_CREAT, which fs.protected_regular forbids.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from mmaction_trainer.contract.errors import ConfigFailure, DiskFailure, Failure

from .holder import Holder

VARIABLE = "TRAINJOB_LEASES"
MACHINE = Path("/tmp/mmaction-operator-leases")
"""Not tempfile.gettempdir(): two shells with different TMPDIR have to meet here too."""

SUFFIX = ".lock"
LONGEST = 65536
"""Bytes to read of a file that any user can write."""

PAUSE = 0.002


@dataclass(frozen=True)
class LeaseFolder:
    """Where the lock files are; made on first use, for every user of the machine.

    Runs that do not see the same folder (containers with their own /tmp) do not see each other's leases: mount one
    into each, and name it in TRAINJOB_LEASES.

    Args:
        path: the folder.
        patience: seconds to wait at the gate, where nobody has business for longer than milliseconds.
    """

    path: Path
    patience: float = 30.0

    @classmethod
    def of_machine(cls, environ: Mapping[str, str]) -> Self:
        """The folder that all runs on this machine share: TRAINJOB_LEASES, or one below /tmp."""
        return cls(Path(environ.get(VARIABLE) or MACHINE))

    @contextmanager
    def gate(self) -> Iterator[Gate]:
        """Hold the folder: nobody else takes a lease, or looks, until this ends.

        Raises:
            ConfigFailure: there is no such folder and it cannot be made, or this user cannot use it.
            Failure: somebody has held the gate for longer than ``patience``.
        """
        descriptor = self._enter()
        try:
            yield Gate(self.path, descriptor)
        finally:
            unlock(descriptor)

    def _enter(self) -> int:
        deadline = time.monotonic() + self.patience
        while True:
            descriptor = self._open()
            # No links: removed since it was opened, as a cleaner of /tmp does; the next try makes it again.
            if try_lock(descriptor, self.path) and os.fstat(descriptor).st_nlink:
                return descriptor
            os.close(descriptor)
            if time.monotonic() > deadline:
                raise Failure(
                    str(self.path),
                    f"another process has kept this folder locked for {self.patience:g} s",
                    do=f"It is probably stopped; `fuser -v {self.path}` names it.",
                )
            time.sleep(PAUSE)

    def _open(self) -> int:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        try:
            try:
                return os.open(self.path, flags)
            except FileNotFoundError:
                self._make()
                return os.open(self.path, flags)
        except OSError as error:
            raise _refusal(self.path, error) from error

    def _make(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # In one step: a folder that others already see and may not use yet would refuse a run started with this one.
        before = os.umask(0)
        try:
            self.path.mkdir(mode=0o1777, exist_ok=True)
        finally:
            os.umask(before)


@dataclass(frozen=True)
class Gate:
    """The folder while it is held: the only way to a lock file."""

    path: Path
    descriptor: int

    def lock(self, name: str) -> int | None:
        """Lock a file, made if need be. The descriptor that holds the lock; None if another does.

        Raises:
            ConfigFailure: what stands there is not a plain file, or not one this user may write.
        """
        while True:
            descriptor = self._open(name)
            if not try_lock(descriptor, self.path / name):
                os.close(descriptor)
                return None
            if os.fstat(descriptor).st_nlink:
                return descriptor
            os.close(descriptor)  # unlinked between the open and the lock: lock what stands there now

    def record(self, name: str, descriptor: int, holder: Holder) -> None:
        """Say in the locked file who holds it.

        Raises:
            DiskFailure: there is no space left for it.
        """
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, holder.to_json().encode(), 0)
        except OSError as error:
            raise _refusal(self.path / name, error) from error

    def recorded(self, name: str) -> Holder | None:
        """Who a file says holds it, or held it last; None if it does not say."""
        descriptor = self._open(name)
        with os.fdopen(descriptor, "rb") as file:
            try:
                return Holder.model_validate_json(file.read(LONGEST))
            except ValidationError:
                return None

    def names(self) -> list[str]:
        """Names of the lock files, sorted."""
        with os.scandir(self.descriptor) as entries:
            return sorted(entry.name for entry in entries if entry.name.endswith(SUFFIX))

    def _open(self, name: str) -> int:
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            try:
                descriptor = os.open(name, flags, dir_fd=self.descriptor)
            except FileNotFoundError:
                descriptor = os.open(name, flags | os.O_CREAT | os.O_EXCL, dir_fd=self.descriptor)
                os.fchmod(descriptor, 0o666)  # whatever the umask: the next holder may be another user
        except OSError as error:
            raise _refusal(self.path / name, error) from error
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            os.close(descriptor)
            raise ConfigFailure(str(self.path / name), "not a plain file of its own", do="Remove it.")
        return descriptor


def try_lock(descriptor: int, path: Path) -> bool:
    """Lock an open file or folder; False if another open of it is locked."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:  # a network file system may know no locks
        os.close(descriptor)
        raise _refusal(path, error) from error
    return True


def unlock(descriptor: int) -> None:
    """Give up a lock that no child was meant to share, even if one forked meanwhile has a copy; close the file."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def _refusal(path: Path, error: OSError) -> Failure:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFailure(str(path), "no space left to write who holds it", do="Free some space.")
    if error.errno == errno.ELOOP:
        return ConfigFailure(str(path), "a symbolic link, which is not followed here", do="Remove it.")
    return ConfigFailure(
        str(path),
        f"cannot be used: {os.strerror(error.errno or 0)}",
        accepted="a folder with mode 1777 and files with mode 0666, on a local disk",
        do=f"Mend it, or name another folder for all users of this machine in {VARIABLE}.",
    )
