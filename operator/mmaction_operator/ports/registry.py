"""Leases of a cluster's ports: who has which, among all attempts that may still run.

Kept in memory and nowhere else: each attempt's Job carries its port, and is the record of it from the moment on that
anything can use it. A controller that starts restores the leases from these before it gives out any; what it had leased
and made no Job for is free again.
"""

from __future__ import annotations

import threading
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from mmaction_trainer.contract.errors import PortFailure

from .choose import start_of
from .range import PortRange


@dataclass(frozen=True)
class ClusterLease:
    """Who holds a port."""

    job: str
    """The job's uid."""
    attempt: int
    name: str
    """The job's namespace and name, for messages."""


class PortRegistry:
    """The leases of a cluster; every method may be called from any thread.

    A port is leased once in the cluster, on whichever nodes its attempt may come to run. Once all are, the ports that
    the fewest hold are leased again: pods have networks of their own, and of those on their node's the scheduler puts
    no two with one host port on one node.
    """

    def __init__(self, ports: PortRange) -> None:
        self.ports = ports
        self._held: dict[int, dict[str, ClusterLease]] = {}  # by port, then by the job's uid
        self._of_job: dict[str, int] = {}
        self._lock = threading.Lock()

    def restore(self, port: int, lease: ClusterLease) -> None:
        """Take back a lease that is on record."""
        with self._lock:
            self._release(lease.job)
            self._take(port, lease)

    def lease(self, lease: ClusterLease, *, avoid: AbstractSet[int] = frozenset()) -> int:
        """A port for an attempt: the one that it has, else another one than the job's attempt before had.

        Raises:
            PortFailure: the job has met trouble on every one.
        """
        with self._lock:
            port = self._of_job.get(lease.job)
            if port is not None and self._held[port][lease.job].attempt == lease.attempt and port not in avoid:
                return port
            chosen = self._choose(start_of(f"{lease.job}-{lease.attempt}"), avoid)
            self._release(lease.job)
            self._take(chosen, lease)
            return chosen

    def release(self, job: str) -> None:
        """Give back what a job holds; nothing if that is nothing."""
        with self._lock:
            self._release(job)

    def holders(self) -> dict[int, list[ClusterLease]]:
        """Every lease, by its port."""
        with self._lock:
            return {port: list(leases.values()) for port, leases in self._held.items()}

    def _choose(self, start: int, avoid: AbstractSet[int]) -> int:
        usable = (port for port in self.ports.from_offset(start) if port not in avoid)
        fewest, chosen = -1, None
        for port in usable:
            holders = len(self._held.get(port, ()))
            if chosen is None or holders < fewest:
                fewest, chosen = holders, port
            if not holders:
                break
        if chosen is None:
            do = "See what holds them on the nodes, or widen the range."
            raise PortFailure(f"ports {self.ports}", f"the job met trouble on all {len(avoid)}", do=do)
        return chosen

    def _take(self, port: int, lease: ClusterLease) -> None:
        self._held.setdefault(port, {})[lease.job] = lease
        self._of_job[lease.job] = port

    def _release(self, job: str) -> None:
        port = self._of_job.pop(job, None)
        if port is not None:
            del self._held[port][job]
            if not self._held[port]:
                del self._held[port]
