"""What happens when a job may have changed: read, decide, write."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from mmaction_operator.api import TrainJob, parse
from mmaction_operator.kube import (
    AlreadyExists,
    Client,
    EventRecorder,
    Forbidden,
    Invalid,
    Key,
    NotFound,
    Object,
    Propagation,
    Resource,
    Selection,
    Store,
    version_of,
)
from mmaction_operator.plan import (
    AttemptSeen,
    Settings,
    attempts_of,
    course_of,
    happenings,
    is_finished,
    is_over,
    names,
    objects_of,
    refuse_paths,
    seconds_left,
    shared_by_attempts,
    status_of,
)
from mmaction_operator.plan.conditions import COMPLETE, FAILED, NO_PORT_LEFT, UNREADABLE
from mmaction_operator.ports import PortRegistry
from mmaction_operator.render import Rendered, render
from mmaction_trainer.contract.errors import ConfigFailure, PortFailure

from .board import ProgressBoard
from .decided import Decided
from .leasing import Leasing
from .memory import SECONDS_UNSEEN, Memory, Remembered
from .resources import BY_KIND, BY_TRAINJOB, CONFIG_MAPS, JOBS, PODS, TRAINJOBS

SECONDS_BETWEEN_PROGRESS = 5.0
"""Between two writes of a status in which nothing but the progress changed."""
SECONDS_BETWEEN_STATUSES = 1.0
"""Between two writes of a status, and after the first look at a job and whatever was made for it: changes come in
flocks, and the last of them is what a user wants to know."""
SECONDS_REFUSED = 30.0
"""Until a job for which no port is left, or whose objects the API server does not take, is looked at again."""


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
        self.leasing, self.board, self.events, self.settings = Leasing(registry), board, events, settings
        self.observe, self.now, self.clock = observe, now, clock
        self._rendered = Remembered()
        self._memory: dict[Key, Memory] = {}

    def __call__(self, key: Key) -> float | None:
        """Reconcile one job; seconds until it wants to be looked at again, or None."""
        stored = self.trainjobs.get(key)
        if self.is_behind(key, stored):
            return SECONDS_UNSEEN  # unless what is on its way wakes before
        if stored is None or "deletionTimestamp" in stored["metadata"]:
            self.forget(key)
            return None
        memory = self.remember(stored)
        try:
            job = self.read(stored)
        except ConfigFailure as failure:
            self.events.record(stored, reason=UNREADABLE, message=str(failure), warning=True)
            return None
        if not self.settings.is_for(job.spec.managed_by):
            self.forget(key)
            return None
        if is_finished(job):
            self.forget(key)
            return self.tidy(job)
        try:
            return self.proceed(self.decide(stored, job, memory), memory)
        except PortFailure as failure:
            self.events.record(stored, reason=NO_PORT_LEFT, message=str(failure), warning=True)
            return SECONDS_REFUSED

    def read(self, stored: Object) -> TrainJob:
        """A TrainJob as the API server has it, with what the installation says where it says nothing.

        Raises:
            ConfigFailure: it was stored under another version of the resource, and is not what this one accepts.
        """
        parts = ("apiVersion", "kind", "metadata", "spec", "status")
        return self.settings.defaults.applied_to(parse({part: stored[part] for part in parts if part in stored}))

    def is_behind(self, key: Key, stored: Object | None) -> bool:
        """Whether what is seen of a job lacks what this process wrote of it, or what its predecessor left."""
        memory = self._memory.get(key)
        if memory is None:
            return False
        if stored is None or memory.unsure:
            try:
                memory.expect(version_of(self.client.get(TRAINJOBS, key)), self.clock())
            except NotFound:
                return stored is not None
        return stored is None or memory.is_outdated(version_of(stored), self.clock())

    def decide(self, stored: Object, job: TrainJob, memory: Memory) -> Decided:
        """Where a job that is not over is, and what is to be said of it.

        Raises:
            PortFailure: no port is left for it.
        """
        uid, now = stored["metadata"]["uid"], self.now()
        rendered = self.render(job)
        course = course_of(job, rendered, self.attempts(job, uid))
        port = self.leasing.port_of(job, course)
        progress = self.board.get(uid, course.attempt)
        status = status_of(job, rendered, course, port=port, progress=progress, now=now, refused=memory.refused)
        return Decided(stored, job, rendered, course, port, status, now)

    def proceed(self, decided: Decided, memory: Memory) -> float | None:
        """Act, then say so; or first say so, where that is the record of what acting leaves behind."""
        if decided.is_record:
            self.say(decided, memory)
            return self.act(decided, memory)
        again, wait = self.act(decided, memory), self.seconds_until_due(decided, memory)
        if wait == 0:
            self.say(decided, memory)
        return min((seconds for seconds in (again, wait or None) if seconds is not None), default=None)

    def act(self, decided: Decided, memory: Memory) -> float | None:
        """Make or remove what the job's course asks for; seconds until there is more to do."""
        job, course = decided.job, decided.course
        if isinstance(decided.rendered, ConfigFailure) or is_over(decided.status):
            return None
        if course.held:
            if course.stage == "Attempt" and course.seen and not course.seen.leaving:
                # In the foreground: its pods are gone before it is, and before it is made again.
                self.remove(JOBS, job, course.seen, "Foreground")
            return None
        if course.begin and course.begin > decided.at:
            return (course.begin - decided.at).total_seconds()
        if course.lost:
            self.remove(PODS, job, course.lost)
        elif course.seen is None:
            left = seconds_left(job, course.failed)
            wanted = objects_of(job, decided.rendered, course.attempt, decided.port or 0, self.settings, left)
            try:
                self.make(wanted, memory)
            except (Forbidden, Invalid, AlreadyExists) as error:
                known, memory.refused = memory.refused, str(error)
                return SECONDS_REFUSED if known == memory.refused else 0.0
            memory.refused, memory.quiet_since = "", self.clock()
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

    def make(self, items: Iterable[Object], memory: Memory) -> None:
        """Make what is not there yet.

        Raises:
            AlreadyExists: something has the name of one of them, and is not the job's.
            Forbidden, Invalid: the API server does not take one of them; says why.
        """
        for item in items:
            resource = BY_KIND[item["kind"]]
            if resource is CONFIG_MAPS and memory.has_config:
                continue
            try:
                self.client.create(resource, item)
            except AlreadyExists:
                # A ConfigMap's name is the job's alone, and no rule lets this program read those of others.
                if resource is not CONFIG_MAPS and not belongs_to(self.client.get(resource, Key.of(item)), memory.uid):
                    raise
        memory.has_config = True

    def render(self, job: TrainJob) -> Rendered | ConfigFailure:
        """A job's config, or why it has none. A spec cannot change, so once is enough."""

        def rendered() -> Rendered | ConfigFailure:
            try:
                refuse_paths(job)
                return render(job)
            except ConfigFailure as failure:
                return failure

        return self._rendered.get(job.metadata.uid or "", rendered)

    def seconds_until_due(self, decided: Decided, memory: Memory) -> float | None:
        """When a status that is no record is to be written: 0 for now, None for not at all, as it says nothing new."""
        before, status = decided.before, decided.status
        if status == decided.job.status:
            return None
        if memory.quiet_since is None:
            memory.quiet_since = self.clock()
        only_progress = status.model_copy(update={"progress": before.progress}) == before
        pause = SECONDS_BETWEEN_PROGRESS if only_progress else SECONDS_BETWEEN_STATUSES
        return max(0, memory.quiet_since + pause - self.clock())

    def say(self, decided: Decided, memory: Memory) -> None:
        """Write a status, and tell of what is new in it."""
        memory.unsure = True  # until it is answered
        written = self.client.apply_status(TRAINJOBS, decided.manifest)
        memory.expect(version_of(written), self.clock())
        memory.quiet_since = self.clock()
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
            uid = stored["metadata"]["uid"]
            self.remember(stored).expect(version_of(stored), self.clock())
            try:
                job = self.read(stored)
            except ConfigFailure:
                continue  # its author is told when its turn comes
            if is_finished(job) or not self.settings.is_for(job.spec.managed_by):
                continue
            self.leasing.restore(job, made.get(uid, ()))

    def remove(
        self, resource: Resource, job: TrainJob, seen: AttemptSeen, propagation: Propagation = "Background"
    ) -> None:
        """Remove an attempt's Job, or the pod that checks."""
        self.client.delete(
            resource, Key(job.metadata.namespace, seen.name), uid=seen.uid or None, propagation=propagation
        )

    def tidy(self, job: TrainJob) -> float | None:
        """Remove what a job that is over has in the cluster, once its time has come; its Jobs last."""
        ttl, uid = job.spec.ttl_seconds_after_finished, job.metadata.uid or ""
        if ttl is None:
            return None
        found = attempts_of(self.jobs.children(uid), self.pods.by(BY_TRAINJOB, uid))
        if not found:
            return None
        assert job.status
        ended = max(c.last_transition_time for c in job.status.conditions if c.type in (COMPLETE, FAILED))
        left = (ended + timedelta(seconds=ttl) - self.now()).total_seconds()
        if left > 0:
            return left
        for kind, name in shared_by_attempts(job):
            self.client.delete(BY_KIND[kind], Key(job.metadata.namespace, name))
        for seen in found:
            self.remove(PODS if seen.attempt == names.PREFLIGHT else JOBS, job, seen)
        return None

    def remember(self, stored: Object) -> Memory:
        """What is kept of a job; nothing yet, where another one had its name."""
        key, uid = Key.of(stored), stored["metadata"]["uid"]
        if key in self._memory and self._memory[key].uid != uid:
            self.forget(key)
        return self._memory.setdefault(key, Memory(uid))

    def forget(self, key: Key) -> None:
        """Give back what a job that is over, or gone, holds here."""
        if memory := self._memory.pop(key, None):
            self.leasing.release(memory.uid)
            self.board.forget(memory.uid)
            self._rendered.forget(memory.uid)


def belongs_to(item: Object, uid: str) -> bool:
    """Whether a job controls an object."""
    owners = item["metadata"].get("ownerReferences", ())
    return any(owner["uid"] == uid and owner.get("controller") for owner in owners)
