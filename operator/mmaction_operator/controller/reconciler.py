"""What happens when a job may have changed: read, decide, write."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mmaction_operator.api import TrainJob, parse
from mmaction_operator.api.status import TrainJobStatus
from mmaction_operator.api.trainjob import API_VERSION, KIND
from mmaction_operator.kube import (
    AlreadyExists,
    Client,
    EventRecorder,
    Forbidden,
    Invalid,
    Key,
    Object,
    Selection,
    Store,
)
from mmaction_operator.plan import (
    AttemptSeen,
    Course,
    Settings,
    attempts_of,
    course_of,
    happenings,
    is_finished,
    is_over,
    names,
    objects_of,
    status_of,
)
from mmaction_operator.ports import ClusterLease, PortRegistry
from mmaction_operator.render import Rendered, render
from mmaction_trainer.contract.errors import ConfigFailure, PortFailure

from .board import ProgressBoard
from .resources import BY_KIND, BY_TRAINJOB, CONFIG_MAPS, PODS, TRAINJOBS

SECONDS_BETWEEN_PROGRESS = 5.0
"""Between two writes of a status in which nothing but the progress changed."""
SECONDS_BETWEEN_STATUSES = 1.0
"""Between two writes of a status, and before the first, unless it records a lease or the end."""
SECONDS_REFUSED = 30.0
"""Until a job for which no port is left, or whose objects the API server does not take, is looked at again."""
REMEMBERED = 4096
"""Configs kept rendered."""


@dataclass(frozen=True)
class Written:
    """A status that was written, for metrics.

    Attributes:
        created: when the job was.
        before: the status before it; empty where there was none.
        status: what it is now.
        course: where the job is.
        at: when it was written.
    """

    created: datetime
    before: TrainJobStatus
    status: TrainJobStatus
    course: Course
    at: datetime


class Reconciler:
    """Brings the cluster closer to what one TrainJob says.

    Args:
        client: writes.
        trainjobs, jobs, pods: what is there.
        registry: the leases of ports.
        board: what trainers say.
        events: tells users.
        settings: what the installation decides.
        observe: told of each status that was written. Default: nobody.
        now: the time of day.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        *,
        client: Client,
        trainjobs: Store,
        jobs: Store,
        pods: Store,
        registry: PortRegistry,
        board: ProgressBoard,
        events: EventRecorder,
        settings: Settings,
        observe: Callable[[Written], None] = lambda _: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client, self.trainjobs, self.jobs, self.pods = client, trainjobs, jobs, pods
        self.registry, self.board, self.events, self.settings = registry, board, events, settings
        self.observe, self.now, self.clock = observe, now, clock
        self._rendered = Remembered(REMEMBERED)
        self._uids: dict[Key, str] = {}
        self._written: dict[str, float] = {}
        self._refused: dict[str, str] = {}
        self._told: set[str] = set()

    def __call__(self, key: Key) -> float | None:
        """Reconcile one job; seconds until it wants to be looked at again, or None."""
        stored = self.trainjobs.get(key)
        if stored is None or "deletionTimestamp" in stored["metadata"]:
            self.forget(self._uids.pop(key, ""))
            return None
        uid = stored["metadata"]["uid"]
        if self._uids.get(key, uid) != uid:
            self.forget(self._uids[key])
        self._uids[key] = uid
        job = read(stored)
        if is_finished(job):
            self.forget(uid)
            return None
        return self.proceed(stored, job)

    def proceed(self, stored: Object, job: TrainJob) -> float | None:
        """Reconcile a job that is not over: its status first, as it records the lease, then its objects."""
        uid, now = stored["metadata"]["uid"], self.now()
        rendered = self.render(job)
        course = course_of(job, rendered, self.attempts(job, uid))
        try:
            port = self.port_of(job, course)
        except PortFailure as failure:
            self.events.record(stored, reason="NoPortLeft", message=str(failure), warning=True)
            return SECONDS_REFUSED
        progress = self.board.get(uid, course.attempt)
        refused = self._refused.get(uid, "")
        status = status_of(job, rendered, course, port=port, progress=progress, now=now, refused=refused)
        wait = self.seconds_until_due(uid, job.status, status)
        if wait == 0:
            self.write_status(stored, status)
            created = datetime.fromisoformat(stored["metadata"]["creationTimestamp"])
            self.observe(Written(created, job.status or TrainJobStatus(), status, course, now))
            for told in happenings(job.status, status, course):
                self.events.record(stored, reason=told.reason, message=told.message, warning=told.warning)
        if course.begin and course.begin > now:
            return (course.begin - now).total_seconds()
        if course.lost:
            (pod,) = course.lost.pods
            self.client.delete(PODS, Key(job.metadata.namespace, pod.name), uid=pod.uid)
        elif course.seen is None and not isinstance(rendered, ConfigFailure):
            if port and job.status and wait != 0:  # is the status that leases it still the newest?
                self.client.apply_status(TRAINJOBS, manifest(stored, job.status))
            try:
                self.make(uid, objects_of(job, rendered, course.attempt, port or 0, self.settings))
            except (Forbidden, Invalid, AlreadyExists) as error:
                self._refused[uid] = str(error)
                return (wait or SECONDS_REFUSED) if refused == str(error) else 0.0
            self._refused.pop(uid, None)
        return wait

    def attempts(self, job: TrainJob, uid: str) -> tuple[AttemptSeen, ...]:
        """What is seen of a job's attempts.

        What an attempt's pods said is decided on once. So where the newest one's Job has ended and the end of a pod is
        not seen, the server is asked: the Job's end may only have been seen first.
        """
        jobs = self.jobs.children(uid)
        found = attempts_of(jobs, self.pods.by(BY_TRAINJOB, uid))
        if found and found[-1].unheard:
            mine = Selection(job.metadata.namespace, f"{names.UID}={uid}")
            return attempts_of(jobs, self.client.list(PODS, mine).objects)
        return found

    def make(self, uid: str, items: Iterable[Object]) -> None:
        """Make what is not there yet.

        Raises:
            AlreadyExists: something has the name of one of them, and is not the job's.
            Forbidden, Invalid: the API server does not take one of them; says why.
        """
        for item in items:
            resource = BY_KIND[item["kind"]]
            if resource is CONFIG_MAPS and uid in self._told:
                continue
            try:
                self.client.create(resource, item)
            except AlreadyExists:
                # A ConfigMap's name is the job's alone, and no rule lets this program read those of others.
                if resource is not CONFIG_MAPS and not belongs_to(self.client.get(resource, Key.of(item)), uid):
                    raise
        self._told.add(uid)

    def render(self, job: TrainJob) -> Rendered | ConfigFailure:
        """A job's config, or why it has none. A spec cannot change, so once is enough."""

        def rendered() -> Rendered | ConfigFailure:
            try:
                return render(job)
            except ConfigFailure as failure:
                return failure

        return self._rendered.get(job.metadata.uid or "", rendered)

    def port_of(self, job: TrainJob, course: Course) -> int | None:
        """The port of the attempt that a job is at, leased if it has none yet.

        Raises:
            PortFailure: none is left.
        """
        if course.stage != "Attempt":
            return None
        if course.seen:
            return course.seen.port
        lease = lease_of(job, course.attempt)
        if job.status and job.status.port and job.status.attempt == course.attempt:
            self.registry.restore(job.status.port, lease)
        return self.registry.lease(lease, avoid=course.avoid)

    def seconds_until_due(self, uid: str, before: TrainJobStatus | None, status: TrainJobStatus) -> float | None:
        """When a status is to be written: 0 for now, None for not at all, as it says nothing new.

        A job that starts changes many times a second. What is not needed at once waits, for the next change to be
        written with it.
        """
        if status == before:
            return None
        before = before or TrainJobStatus()
        leased = (status.attempt, status.port) != (before.attempt, before.port)
        if leased or is_over(status):
            return 0
        only_progress = status.model_copy(update={"progress": before.progress}) == before
        pause = SECONDS_BETWEEN_PROGRESS if only_progress else SECONDS_BETWEEN_STATUSES
        return max(0, self._written.setdefault(uid, self.clock()) + pause - self.clock())

    def write_status(self, stored: Object, status: TrainJobStatus) -> None:
        """Write a status."""
        self.client.apply_status(TRAINJOBS, manifest(stored, status))
        self._written[stored["metadata"]["uid"]] = self.clock()

    def restore_leases(self, trainjobs: Iterable[Object]) -> None:
        """Take back the leases of every job that is not over, before any is given out.

        Args:
            trainjobs: as the server has them now that this process leads: what it saw before may be older than what
                its predecessor wrote last.
        """
        for stored in trainjobs:
            job = read(stored)
            if not is_finished(job) and job.status and job.status.port and job.status.attempt:
                self.registry.restore(job.status.port, lease_of(job, job.status.attempt))

    def forget(self, uid: str) -> None:
        """Give back what a job that is over, or gone, holds here."""
        self.registry.release(uid)
        self.board.forget(uid)
        self._rendered.forget(uid)
        self._written.pop(uid, None)
        self._refused.pop(uid, None)
        self._told.discard(uid)


class Remembered:
    """What was computed for the jobs that were last asked about."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[str, Rendered | ConfigFailure] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, uid: str, compute: Callable[[], Rendered | ConfigFailure]) -> Rendered | ConfigFailure:
        """What is known, computed if nothing is."""
        with self._lock:
            if uid in self._known:
                self._known.move_to_end(uid)
                return self._known[uid]
        found = compute()
        with self._lock:
            self._known[uid] = found
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        return found

    def forget(self, uid: str) -> None:
        """Drop what is known of a job."""
        with self._lock:
            self._known.pop(uid, None)


def read(stored: Object) -> TrainJob:
    """A TrainJob as the API server has it."""
    return parse({key: stored[key] for key in ("apiVersion", "kind", "metadata", "spec", "status") if key in stored})


def belongs_to(item: Object, uid: str) -> bool:
    """Whether a job controls an object."""
    owners = item["metadata"].get("ownerReferences", ())
    return any(owner["uid"] == uid and owner.get("controller") for owner in owners)


def lease_of(job: TrainJob, attempt: int) -> ClusterLease:
    """How an attempt is written into the registry."""
    metadata = job.metadata
    return ClusterLease(metadata.uid or "", attempt, f"{metadata.namespace}/{metadata.name}")


def manifest(stored: Object, status: TrainJobStatus) -> dict[str, Any]:
    """What is applied to write a status; the uid keeps it off another job of the same name."""
    metadata = {name: stored["metadata"][name] for name in ("name", "namespace", "uid", "resourceVersion")}
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": metadata,
        "status": status.model_dump(mode="json", by_alias=True, exclude_none=True),
    }
