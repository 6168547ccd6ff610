"""Leases of ports and GPUs on one machine.

A lease is a file lock held by an open descriptor, so the kernel ends it with the process, however that dies. Python's
descriptors close on exec: a child holds nothing by accident. The training itself must hold, or its GPUs would be given
away when the process that started it is killed; hand it the descriptors::

    with lease_port(folder, ports, holder) as port, lease_gpus(folder, 4, keys, holder) as gpus:
        training = subprocess.Popen(command, pass_fds=port.pass_fds + gpus.pass_fds)

The lock is then shared, and free once the last of the processes that have it is gone or has closed it. ``release``
only closes this process's side.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal, Self
from urllib.parse import quote, unquote

from mmaction_trainer.contract.errors import DeviceFailure

from .choose import choose, start_of
from .folder import SUFFIX, Gate, LeaseFolder, unlock
from .holder import Holder
from .probe import in_use
from .range import PortRange, ephemeral_range, refuse_overlap

Kind = Literal["port", "gpu"]
OUTSIDER = "something that takes no leases"
POLL = 0.25
"""Seconds between two looks for free GPUs."""


class Lease:
    """Locks that this process holds until ``release``, the end of a ``with`` block, or its own end."""

    def __init__(self, descriptors: Iterable[int]) -> None:
        self._descriptors = list(descriptors)

    @property
    def pass_fds(self) -> tuple[int, ...]:
        """What to give ``subprocess.Popen(pass_fds=...)`` so that the child holds the lease too."""
        return tuple(self._descriptors)

    def release(self) -> None:
        """Let go. A child that was given the lease keeps it."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class PortLease(Lease):
    """``port`` is ours; ``skipped`` were free of leases, yet in use by something that takes none."""

    def __init__(self, port: int, skipped: tuple[int, ...], descriptor: int) -> None:
        super().__init__([descriptor])
        self.port, self.skipped = port, skipped


class GPULease(Lease):
    """``devices`` are ours: keys, in the order they were offered."""

    def __init__(self, devices: tuple[str, ...], descriptors: Iterable[int]) -> None:
        super().__init__(descriptors)
        self.devices = devices


@dataclass(frozen=True)
class Held:
    """A port or GPU under lease: ``which`` is the number or key. ``holder`` is None if its file does not say."""

    kind: Kind
    which: str
    holder: Holder | None

    @property
    def who(self) -> str:
        """The holder in words."""
        return str(self.holder) if self.holder else "a run that did not say its name"

    def __str__(self) -> str:
        return f"{self.kind} {self.which} is held by {self.who}"


def lease_port(
    folder: LeaseFolder, ports: PortRange, holder: Holder, *, avoid: AbstractSet[int] = frozenset()
) -> PortLease:
    """Lease a port that no other run on this machine holds, and that nothing else is bound to.

    Raises:
        PortFailure: none is left; says who holds how many.
        ConfigFailure: the range overlaps this machine's ephemeral ports, or the folder cannot be used.
    """
    refuse_overlap(ports, ephemeral_range())
    taken: dict[int, str] = {}
    skipped: list[int] = []
    start = start_of(holder.job.rendezvous_id)
    with folder.gate() as gate:
        while True:
            port = choose(ports, taken, avoid=avoid, start=start)
            start = port - ports.first  # what was passed over stays passed over: one walk, however much is taken
            name = _file("port", str(port))
            descriptor = gate.lock(name)
            if descriptor is None:
                taken[port] = Held("port", str(port), gate.recorded(name)).who
                continue
            with ExitStack() as unless_leased:
                unless_leased.callback(unlock, descriptor)
                if in_use(port):
                    taken[port] = OUTSIDER
                    skipped.append(port)
                    continue
                gate.record(name, descriptor, holder)
                unless_leased.pop_all()
            return PortLease(port, tuple(skipped), descriptor)


def lease_gpus(
    folder: LeaseFolder,
    count: int,
    devices: Sequence[str],
    holder: Holder,
    *,
    wait: float = 0.0,
    on_wait: Callable[[Sequence[Held]], None] | None = None,
) -> GPULease:
    """Lease ``count`` of ``devices``: all of them at one moment, or none.

    Args:
        folder: where runs meet.
        count: how many; 0 leases nothing.
        devices: keys of the GPUs to pick from, the first free ones first. A key has to mean the same GPU to every
            run on the machine.
        holder: who asks.
        wait: seconds to wait for enough of them, 0 to refuse at once, ``math.inf`` to wait for good. Who waits has
            no place in a line: a run that needs fewer may come first.
        on_wait: told who is in the way, when the wait begins and whenever that changes.

    Raises:
        DeviceFailure: fewer are there than asked for, or free in time; says which run holds which.
        ConfigFailure: the folder cannot be used.
    """
    offered = list(dict.fromkeys(devices))
    if count > len(offered):
        there = f"{len(offered)}: {', '.join(offered)}" if offered else "none"
        raise _too_few(f"{count} asked for, this machine shows {there}", do="Ask for fewer, or see `nvidia-smi -L`.")
    deadline = time.monotonic() + wait
    told: list[Held] = []
    while True:
        with folder.gate() as gate:
            outcome = _take(gate, count, offered, holder)
        if isinstance(outcome, GPULease):
            return outcome
        left = deadline - time.monotonic()
        if left <= 0:
            free = len(offered) - len(outcome)
            found = f"{count} asked for, {free} of {len(offered)} free: {'; '.join(map(str, outcome))}"
            raise _too_few(found, do="Wait for it, or ask for fewer.")
        if on_wait and outcome != told:
            on_wait(tuple(outcome))
        told = outcome
        time.sleep(min(POLL, left))


def holders(folder: LeaseFolder) -> list[Held]:
    """Every port and GPU that is under lease now."""
    with folder.gate() as gate:
        return [held for name in gate.names() if (held := _held(gate, name))]


def _take(gate: Gate, count: int, offered: Sequence[str], holder: Holder) -> GPULease | list[Held]:
    """The lease, or who is in its way."""
    locked: dict[str, int] = {}
    in_the_way: list[Held] = []
    with ExitStack() as unless_leased:
        for key in offered:
            if len(locked) >= count:
                break
            name = _file("gpu", key)
            descriptor = gate.lock(name)
            if descriptor is None:
                in_the_way.append(Held("gpu", key, gate.recorded(name)))
                continue
            unless_leased.callback(unlock, descriptor)
            locked[key] = descriptor
        if len(locked) < count:
            return in_the_way
        for key, descriptor in locked.items():
            gate.record(_file("gpu", key), descriptor, holder)
        unless_leased.pop_all()
    return GPULease(tuple(locked), locked.values())


def _held(gate: Gate, name: str) -> Held | None:
    kind, _, which = name.removesuffix(SUFFIX).partition("-")
    if kind not in ("port", "gpu"):
        return None
    descriptor = gate.lock(name)
    if descriptor is not None:
        unlock(descriptor)
        return None
    return Held("port" if kind == "port" else "gpu", unquote(which), gate.recorded(name))


def _file(kind: Kind, which: str) -> str:
    # An older driver's MIG ids have slashes.
    return f"{kind}-{quote(which, safe='')}{SUFFIX}"


def _too_few(found: str, *, do: str) -> DeviceFailure:
    return DeviceFailure("spec.resources.gpusPerNode", found, do=do)
