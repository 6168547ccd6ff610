"""The one exception tree of the product, and the exit code of each class.

    Failure                       the product refuses or gives up; never a bug in itself
    ├── ConfigFailure       10    the TrainJob, or the config it renders to, is wrong
    ├── DataFailure         11    lists, labels or videos are missing, wrong or broken
    ├── StorageFailure      12    storage refuses, is unreachable, or does not hold what it should
    ├── PortFailure         13    the leased port is held by something else; take another
    ├── IdentityFailure     14    a process of another job came to this job's rendezvous
    ├── MemoryFailure       15    host or device memory ran out
    ├── CollectiveFailure   16    ranks lost each other: a timeout, or a peer that died
    │   └── HangFailure     16    ranks got nowhere, and one of them is behind
    ├── Interrupted         17    told to stop (SIGINT, SIGTERM); a checkpoint was left
    ├── DiskFailure         18    no space left for checkpoints or data
    └── DeviceFailure       19    the GPUs asked for are not there, or held by another run

An exit code is how a process tells the class to whoever started it: torchrun to the launcher, the pod to the
controller. Codes 0 (succeeded), 1 (unknown) and 2 (wrong command line) keep their usual meaning.
"""

from __future__ import annotations

from typing import ClassVar


class Failure(Exception):
    """Something the user can act on.

    Args:
        where: the field or file that is wrong, such as ``spec.model.config`` or ``train.txt:12``.
        found: what was found there.
        accepted: what would have been accepted, if that can be said.
        do: what to do about it, if that is not plain from the rest.

    Attributes:
        name: what users call the class.
        exit_code: how a process tells it.
        remedy: what helps, whatever the message says.
        rank: which rank failed first, where one did.
        last_lines: what that rank printed last; of one that hangs, where it stands.
    """

    name: ClassVar[str] = "Unknown"
    exit_code: ClassVar[int] = 1
    remedy: ClassVar[str] = "See the traceback in the log."

    def __init__(self, where: str, found: str, *, accepted: str = "", do: str = "") -> None:
        self.where, self.found, self.accepted, self.do = where, found, accepted, do
        self.rank: int | None = None
        self.last_lines: tuple[str, ...] = ()
        super().__init__(where, found)

    def __str__(self) -> str:
        sentence = f"{self.where}: {self.found}"
        if self.accepted:
            sentence += f"; accepted: {self.accepted}"
        if self.do:
            sentence += f". {self.do}"
        return sentence


class ConfigFailure(Failure):
    """The TrainJob, or the config it renders to, is wrong."""

    name, exit_code = "Config", 10
    remedy = "Mend the field that the message names; `trainjob validate` says the same before anything runs."


class DataFailure(Failure):
    """Lists, labels or videos are missing, wrong or broken."""

    name, exit_code = "Data", 11
    remedy = "Mend the file and line that the message names."


class StorageFailure(Failure):
    """Storage refuses, cannot be reached, or does not hold what it should."""

    name, exit_code = "Storage", 12
    remedy = "Check credentials, endpoint and bucket: the message has the server's own words."


class PortFailure(Failure):
    """The leased port is held by a process that knows nothing of leases."""

    name, exit_code = "Port", 13
    remedy = (
        "Nothing: another port is taken. Where that goes on, choose another range, with `--ports` "
        "or the chart's `ports`."
    )


class IdentityFailure(Failure):
    """A process of another job came to this job's rendezvous, or this one went to another's."""

    name, exit_code = "Identity", 14
    remedy = "Nothing was trained. Give what shares ports, such as a second installation, a range of its own."


class MemoryFailure(Failure):
    """Host or device memory ran out."""

    name, exit_code = "OutOfMemory", 15
    remedy = "Lower `training.batchSizePerGPU`, `training.workers` or `input`, or raise `resources.memoryPerNode`."


class CollectiveFailure(Failure):
    """Ranks lost each other, or hung."""

    name, exit_code = "Collective", 16
    remedy = "See the rank that the message names, and its last lines: the others only lost it, or wait for it."


class HangFailure(CollectiveFailure):
    """Ranks got nowhere, and the launcher ended them: no other rank's failure is beneath it."""


class Interrupted(Failure):
    """The run was told to stop, and left a checkpoint if it had begun to train."""

    name, exit_code = "Interrupted", 17
    remedy = "Nothing: it was asked for. The message names the checkpoint that was left."


class DiskFailure(Failure):
    """No space is left for data or checkpoints."""

    name, exit_code = "Disk", 18
    remedy = (
        "Free some space, or give videos and checkpoints a larger place: `pods.cache`, "
        "`$TRAINJOB_CACHE`. What was written is whole."
    )


class DeviceFailure(Failure):
    """The GPUs asked for are not there, or another run holds them."""

    name, exit_code = "Device", 19
    remedy = "Wait for whom the message names (`--wait`), or ask for fewer: `resources.gpusPerNode`."


FAILURES: tuple[type[Failure], ...] = (
    ConfigFailure,
    DataFailure,
    StorageFailure,
    PortFailure,
    IdentityFailure,
    MemoryFailure,
    CollectiveFailure,
    Interrupted,
    DiskFailure,
    DeviceFailure,
)


def failure_class(exit_code: int) -> type[Failure]:
    """The class that an exit code stands for; ``Failure`` itself for any other code."""
    return next((kind for kind in FAILURES if kind.exit_code == exit_code), Failure)
