"""Which port an attempt has: leased when it is to be made, and taken back from what exists when a controller begins."""

from __future__ import annotations

from collections.abc import Iterable

from mmaction_operator.api import TrainJob
from mmaction_operator.kube import Object
from mmaction_operator.plan import Course, attempts_of
from mmaction_operator.ports import ClusterLease, PortRegistry


class Leasing:
    """The leases of attempts.

    Args:
        registry: who has which port.
    """

    def __init__(self, registry: PortRegistry) -> None:
        self.registry = registry

    def port_of(self, job: TrainJob, course: Course) -> int | None:
        """The port of the attempt that a job is at, leased if it has none yet; None while nothing is to train.

        Raises:
            PortFailure: none is left.
        """
        if course.stage != "Attempt" or (course.held and not course.seen):
            self.release(job.metadata.uid or "")
            return None
        lease = lease_of(job, course.attempt)
        if course.seen:
            self.registry.restore(course.seen.port, lease)
            return course.seen.port
        return self.registry.lease(lease, avoid=course.avoid)

    def restore(self, job: TrainJob, jobs: Iterable[Object]) -> None:
        """Take back the lease of the newest attempt of a job that is not over.

        Args:
            jobs: the Jobs of its attempts; each is the record of its port.
        """
        leased = {job.status.attempt: job.status.port} if job.status else {}
        leased |= {seen.attempt: seen.port for seen in attempts_of(jobs, ())}
        attempt = max((attempt for attempt, port in leased.items() if attempt and port), default=None)
        if attempt and (port := leased[attempt]):
            self.registry.restore(port, lease_of(job, attempt))

    def release(self, uid: str) -> None:
        """Give back the port of a job."""
        self.registry.release(uid)


def lease_of(job: TrainJob, attempt: int) -> ClusterLease:
    """How an attempt is written into the registry."""
    metadata = job.metadata
    return ClusterLease(metadata.uid or "", attempt, f"{metadata.namespace}/{metadata.name}")
