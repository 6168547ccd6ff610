"""One of several processes acts, and another takes over when it no longer does: election by a Lease object.

A Lease says who holds it, and the holder keeps renewing it. Everything rests on how time is judged:

- A lease has run out when *this process* has not seen it change for as long as it says, by this process's own clock.
  The times written in it are for people: another machine's clock may be wrong by hours.
- The holder counts from *before* it sent its last good renewal, the others from after they saw it. So the holder's time
  is over first, if it stops ``deadline`` seconds after a renewal and they wait for the longer ``duration``.
- A process that stood still (stopped, swapped out, its machine asleep) knows by its clock that its time is over, so
  ``leads`` is to be asked right before each act, and not only before a series of them: see ``Controller.fence``.
- A holder that cannot reach the API server leads on until its deadline, as nobody else can have renewed the lease
  meanwhile; then it must end at once, and the safest end is that of the process.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from .asking import Patience
from .client import Client
from .errors import KubeError, NotFound
from .pace import Clock
from .resource import Key, Object, Resource, version_of

log = logging.getLogger(__name__)

LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")


class LeadershipLost(Exception):
    """This process led, and does not any more: another one may lead by now."""


class Leases(Protocol):
    """What is needed of a client; see ``hasty``."""

    def get(self, resource: Resource, key: Key) -> Object: ...

    def create(self, resource: Resource, manifest: Mapping[str, Any]) -> Object: ...

    def replace(self, resource: Resource, manifest: Mapping[str, Any]) -> Object: ...


def hasty(client: Client) -> Client:
    """A variant of a client for elections: a late answer is of no use, and renewing must not wait behind other work."""
    return replace(client, patience=Patience(connect=2.0, read=3.0, attempts=1), limit=None)


@dataclass(frozen=True)
class LeaseTimes:
    """The times of an election, client-go's by default.

    Args:
        duration: seconds without a renewal after which others may take the lease. Default 15.
        deadline: seconds after the last renewal at which the holder no longer leads. Default 10.
        retry: seconds between attempts to renew or take it. Default 2.
    """

    duration: int = 15
    deadline: float = 10.0
    retry: float = 2.0

    def __post_init__(self) -> None:
        if not self.duration > self.deadline > self.retry > 0:
            raise ValueError(f"lease times must be duration > deadline > retry > 0: {self}")


USUAL = LeaseTimes()


class Elector:
    """Takes part in an election, in the thread that calls ``run``.

    Args:
        key: the Lease's namespace and name.
        identity: this process's name, which no other process that still runs has, such as the pod's name and uid.
        after: another election, to be won before this one: who seeks several leases in one order never waits for whom
            waits for it. The lease is looked at meanwhile, so that both run out at once. Default: none.
        clock: default time.monotonic.
        now: what is written into the lease for people. Default: the time of day.
    """

    def __init__(
        self,
        leases: Leases,
        key: Key,
        identity: str,
        *,
        after: Elector | None = None,
        times: LeaseTimes = USUAL,
        clock: Clock = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._leases, self.key, self.identity, self._after = leases, key, identity, after
        self._times, self._clock, self._now = times, clock, now
        self._stopping = threading.Event()
        self._release = False
        self._renewed: float | None = None
        self._seen: dict[str, Any] = {}
        self._version = ""
        self._seen_at = clock()
        self._waits_for = ""

    @property
    def leads(self) -> bool:
        """Whether this process may act, at this moment."""
        renewed = self._renewed
        return renewed is not None and self._clock() - renewed < self._times.deadline

    def run(self) -> None:
        """Try to lead, and go on leading, until told to stop.

        Raises:
            LeadershipLost: this process led and does not any more. It never tries again: what it has begun, it has
                begun as the leader.
        """
        while not self._stopping.is_set():
            self.step()
            self._stopping.wait(self._times.retry * random.uniform(1, 1.2))
        if self._release:
            self._give_up()

    def stop(self, *, release: bool) -> None:
        """Let ``run`` end.

        Args:
            release: let others lead at once. Only once nothing acts any more; otherwise the lease runs out by itself.
        """
        self._release = release
        self._stopping.set()

    def step(self) -> None:
        """Try once to renew or take the lease.

        Raises:
            LeadershipLost: the deadline has passed, or another process holds the lease.
        """
        led = self._renewed is not None
        try:
            taken = self._try()
        except KubeError as error:
            log.warning("lease %s: %s", self.key, error)
            taken = None
        if led and (taken is False or not self.leads):
            self._renewed = None
            raise LeadershipLost(f"lease {self.key}: {self._seen.get('holderIdentity') or 'nobody'} holds it now")
        if taken and not led:
            log.info("lease %s: %s leads", self.key, self.identity)

    def _try(self) -> bool:
        begun = self._clock()
        lease = self._read()
        # A lease that is gone was held the moment before: who held it does not know yet, and has until its deadline.
        spec = dict(lease.get("spec") or {}) if lease else self._seen
        self._saw(lease, spec)
        if self._held_by_another(spec):
            self._tell_whom_it_waits_for(str(spec["holderIdentity"]))
            return False
        if self._after and not self._after.leads:
            return False
        self._write(lease, spec)
        self._renewed = begun
        return True

    def _held_by_another(self, spec: Mapping[str, Any]) -> bool:
        until = self._seen_at + spec.get("leaseDurationSeconds", 0)
        return spec.get("holderIdentity") not in (None, "", self.identity) and self._clock() < until

    def _tell_whom_it_waits_for(self, holder: str) -> None:
        if holder != self._waits_for:
            self._waits_for = holder
            log.info("lease %s: %s holds it, and %s waits", self.key, holder, self.identity)

    def _read(self) -> Object | None:
        try:
            return self._leases.get(LEASES, self.key)
        except NotFound:
            return None

    def _write(self, lease: Object | None, spec: Mapping[str, Any]) -> None:
        now, ours = _micro_time(self._now()), spec.get("holderIdentity") == self.identity
        new = {
            **spec,
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self._times.duration,
            "acquireTime": spec.get("acquireTime", now) if ours else now,
            "renewTime": now,
            "leaseTransitions": spec.get("leaseTransitions", 0) + (0 if ours else 1),
        }
        if lease:
            stored = self._leases.replace(LEASES, {**lease, "spec": new})
        else:
            metadata = {"namespace": self.key.namespace, "name": self.key.name}
            kind = {"apiVersion": LEASES.api_version, "kind": LEASES.kind}
            stored = self._leases.create(LEASES, {**kind, "metadata": metadata, "spec": new})
        self._saw(stored, dict(stored["spec"]))

    def _saw(self, lease: Object | None, spec: dict[str, Any]) -> None:
        # Not the times that it shows are compared: the holder's clock may stand still.
        version = version_of(lease) if lease else ""
        if version != self._version:
            self._version, self._seen, self._seen_at = version, spec, self._clock()

    def _give_up(self) -> None:
        self._renewed = None
        try:
            lease = self._leases.get(LEASES, self.key)
            if lease["spec"].get("holderIdentity") == self.identity:
                spec = {**lease["spec"], "holderIdentity": None, "leaseDurationSeconds": 1}
                self._leases.replace(LEASES, {**lease, "spec": {**spec, "renewTime": _micro_time(self._now())}})
        except KubeError as error:
            log.warning("lease %s is not released, and runs out: %s", self.key, error)


def _micro_time(moment: datetime) -> str:
    """Kubernetes' MicroTime: UTC, always six digits."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
