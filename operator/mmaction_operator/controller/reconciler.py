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
    KubeError,
    Object,
    Selection,
    Store,
    precedes,
    version_of,
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
"""Between two writes of a status, and after the first look at a job and whatever was made for it: changes come in
flocks, and the last of them is what a user wants to know."""
SECONDS_REFUSED = 30.0
"""Until a job for which no port is left, or whose objects the API server does not take, is looked at again."""
REMEMBERED = 4096
"""Configs kept rendered."""


@dataclass(frozen=True)
class Decided:
    """What is to be done and said about a job.

    Attributes:
        stored: the job as the API server has it.
        job: the same, read.
        port: leased for the attempt that it is at.
        status: what is to be said.
        at: when it was decided.
    """

    stored: Object
    job: TrainJob
    rendered: Rendered | ConfigFailure
    course: Course
    port: int | None
    status: TrainJobStatus
    at: datetime

    @property
    def uid(self) -> str:
        """The job's."""
        return str(self.stored["metadata"]["uid"])

    @property
    def before(self) -> TrainJobStatus:
        """What was said last; empty where nothing was."""
        return self.job.status or TrainJobStatus()

    @property
    def created(self) -> datetime:
        """When the job was."""
        return datetime.fromisoformat(self.stored["metadata"]["creationTimestamp"])

    @property
    def is_record(self) -> bool:
        """Whether the status holds what nothing else in the cluster may hold later: it comes before any act."""
        return is_over(self.status) or self.status.failures != self.before.failures


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
        observe: Callable[[Decided], None] = lambda _: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client, self.trainjobs, self.jobs, self.pods = client, trainjobs, jobs, pods
        self.registry, self.board, self.events, self.settings = registry, board, events, settings
        self.observe, self.now, self.clock = observe, now, clock
        self._rendered = Remembered(REMEMBERED)
        self._uids: dict[Key, str] = {}
        self._oldest: dict[str, str] = {}
        self._unsure: set[str] = set()
        self._quiet_since: dict[str, float] = {}
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
        if self.is_outdated(key, stored):
            return None  # the newer one is on its way, and wakes
        job = read(stored)
        if is_finished(job):
            self.forget(uid)
            return None
        try:
            return self.proceed(self.decide(stored, job))
        except PortFailure as failure:
            self.events.record(stored, reason="NoPortLeft", message=str(failure), warning=True)
            return SECONDS_REFUSED

    def is_outdated(self, key: Key, stored: Object) -> bool:
        """Whether a job as it is seen lacks what this process wrote, or what its predecessor had written.

        Acting on that may begin anew what is over. Where a write was not answered, the server is asked.
        """
        uid = stored["metadata"]["uid"]
        if uid in self._unsure:
            self._oldest[uid] = version_of(self.client.get(TRAINJOBS, key))
            self._unsure.discard(uid)
        return precedes(version_of(stored), self._oldest.get(uid, ""))

    def decide(self, stored: Object, job: TrainJob) -> Decided:
        """Where a job that is not over is, and what is to be said of it.

        Raises:
            PortFailure: no port is left for it.
        """
        uid, now = stored["metadata"]["uid"], self.now()
        rendered = self.render(job)
        course = course_of(job, rendered, self.attempts(job, uid))
        port = self.port_of(job, course)
        progress, refused = self.board.get(uid, course.attempt), self._refused.get(uid, "")
        status = status_of(job, rendered, course, port=port, progress=progress, now=now, refused=refused)
        return Decided(stored, job, rendered, course, port, status, now)

    def proceed(self, decided: Decided) -> float | None:
        """Act, then say so; or first say so, where that is the record of what acting leaves behind."""
        if decided.is_record:
            self.say(decided)
            return self.act(decided)
        again, wait = self.act(decided), self.seconds_until_due(decided)
        if wait == 0:
            self.say(decided)
        return min((seconds for seconds in (again, wait or None) if seconds is not None), default=None)

    def act(self, decided: Decided) -> float | None:
        """Make or remove what the job's course asks for; seconds until there is more to do."""
        uid, course = decided.uid, decided.course
        if isinstance(decided.rendered, ConfigFailure) or is_over(decided.status):
            return None
        if course.begin and course.begin > decided.at:
            return (course.begin - decided.at).total_seconds()
        if course.lost:
            (pod,) = course.lost.pods
            self.client.delete(PODS, Key(decided.job.metadata.namespace, pod.name), uid=pod.uid)
        elif course.seen is None:
            wanted = objects_of(decided.job, decided.rendered, course.attempt, decided.port or 0, self.settings)
            try:
                self.make(uid, wanted)
            except (Forbidden, Invalid, AlreadyExists) as error:
                known, self._refused[uid] = self._refused.get(uid), str(error)
                return SECONDS_REFUSED if known == str(error) else 0.0
            self._refused.pop(uid, None)
            self._quiet_since[uid] = self.clock()
        return None

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
        lease = lease_of(job, course.attempt)
        if course.seen:
            self.registry.restore(course.seen.port, lease)
            return course.seen.port
        return self.registry.lease(lease, avoid=course.avoid)

    def seconds_until_due(self, decided: Decided) -> float | None:
        """When a status that is no record is to be written: 0 for now, None for not at all, as it says nothing new."""
        before, status = decided.before, decided.status
        if status == decided.job.status:
            return None
        only_progress = status.model_copy(update={"progress": before.progress}) == before
        pause = SECONDS_BETWEEN_PROGRESS if only_progress else SECONDS_BETWEEN_STATUSES
        return max(0, self._quiet_since.setdefault(decided.uid, self.clock()) + pause - self.clock())

    def say(self, decided: Decided) -> None:
        """Write a status, and tell of what is new in it."""
        try:
            written = self.client.apply_status(TRAINJOBS, manifest(decided.stored, decided.status))
        except KubeError:
            self._unsure.add(decided.uid)
            raise
        self._oldest[decided.uid] = version_of(written)
        self._quiet_since[decided.uid] = self.clock()
        self.observe(decided)
        for told in happenings(decided.job.status, decided.status, decided.course):
            self.events.record(decided.stored, reason=told.reason, message=told.message, warning=told.warning)

    def restore(self, trainjobs: Iterable[Object], jobs: Iterable[Object]) -> None:
        """Go on where another process ended: take back the leases of all jobs that are not over.

        What this process has seen so far may be older than what that one wrote last, so no job is acted on as it was
        before.

        Args:
            trainjobs, jobs: as the server has them now that this process leads.
        """
        made: dict[str, list[Object]] = {}
        for item in jobs:
            made.setdefault(item["metadata"]["labels"][names.UID], []).append(item)
        for stored in trainjobs:
            job, uid = read(stored), stored["metadata"]["uid"]
            self._oldest[uid] = version_of(stored)
            if is_finished(job):
                continue
            leased = {job.status.attempt: job.status.port} if job.status else {}
            leased |= {seen.attempt: seen.port for seen in attempts_of(made.get(uid, ()), ())}
            attempt = max((attempt for attempt, port in leased.items() if attempt and port), default=None)
            if attempt and (port := leased[attempt]):
                self.registry.restore(port, lease_of(job, attempt))

    def forget(self, uid: str) -> None:
        """Give back what a job that is over, or gone, holds here."""
        self.registry.release(uid)
        self.board.forget(uid)
        self._rendered.forget(uid)
        self._oldest.pop(uid, None)
        self._unsure.discard(uid)
        self._quiet_since.pop(uid, None)
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
