"""The stream of TrainJobs: submitted as others end, and each looked at once it is over, cleared away, or deleted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mmaction_operator.plan import names
from tests.e2e.jobs import a_job

from . import endings
from .drawing import Drawn
from .invariants import is_live, of_course, of_end
from .journal import Journal
from .scene import KINDS, Object, Scene, labels_of

AT_ONCE, OPEN = 3, 6
"""Jobs that train at a time, and that are not over: some wait between two attempts."""
TTL = 10
SECONDS_TO_CLEAR = 90
"""Until nothing of a job is there that is over, or deleted: its time, a pod's end, and another controller's begin."""
SECONDS_TO_STOP = 180
"""The same of a job that is deleted while it trains: its pods have two minutes to leave a checkpoint."""


@dataclass
class Known:
    """A job that was submitted.

    Attributes:
        met: kinds of disturbance that met it.
        status: as it was last seen.
        gone: when it was over or deleted, in seconds of the clock; None while neither is so.
        cleared: whether nothing of it is left in the cluster.
    """

    drawn: Drawn
    uid: str
    met: set[str] = field(default_factory=set)
    status: dict[str, Any] = field(default_factory=dict)
    gone: float | None = None
    deleted: bool = False
    cleared: bool = False

    @property
    def name(self) -> str:
        """The job's."""
        return self.drawn.name

    @property
    def where(self) -> str:
        """How far it is, in a word or two."""
        progress = self.status.get("progress", {})
        how_far = f"{progress.get('epoch', 0)}/{self.drawn.epochs}"
        return f"{self.status.get('phase')}, attempt {self.status.get('attempt', 0)}, epoch {how_far}"


class Stream:
    """Keeps a few jobs in the cluster.

    Args:
        scene: where.
        journal: what is told of them.
        drawn: the jobs, in their order.
        data: URI of their data set.
    """

    def __init__(self, scene: Scene, journal: Journal, drawn: Iterator[Drawn], data: str) -> None:
        self.scene, self.journal, self.drawn, self.data = scene, journal, drawn, data
        self.known: dict[str, Known] = {}
        self.ending = False

    @property
    def open(self) -> list[Known]:
        """Jobs that are neither over nor deleted."""
        return [each for each in self.known.values() if each.gone is None]

    @property
    def is_clear(self) -> bool:
        """Whether every job is over, and nothing of it left in the cluster."""
        return all(each.cleared for each in self.known.values())

    def tend(self) -> None:
        """Look at every job once, and submit another where there is room."""
        jobs, trainjobs = self.scene.found("jobs"), self.scene.found("trainjobs")
        for now in trainjobs:
            self.look(self.known[now["metadata"]["name"]], now)
        self.see_to_what_is_left(jobs)
        live = {labels_of(job)[names.UID] for job in jobs if is_live(job)}
        waiting = [each for each in self.open if each.uid not in live and each.status.get("failures")]
        if not self.ending and len(self.open) < OPEN and len(self.open) - len(waiting) < AT_ONCE:
            self.submit(next(self.drawn))

    def submit(self, drawn: Drawn) -> None:
        """Make a job."""
        lasting = {"backoffLimit": 100, "preflight": False, "ttlSecondsAfterFinished": TTL}
        job = a_job(drawn.name, self.scene.namespace, self.data, **lasting, **drawn.spec)
        made = self.scene.ask("POST", self.scene.path("trainjobs"), job)
        self.known[drawn.name] = Known(drawn, made["metadata"]["uid"])
        self.journal.count("jobs", "submitted")
        self.journal.write("submitted", job=drawn.name, spec=drawn.spec)

    def look(self, job: Known, now: Object) -> None:
        """See how far a job is; and, once it is over, what it left."""
        status = now.get("status", {})
        for problem in of_course(job.name, job.status, status):
            self.journal.problem(problem)
        for failure in status.get("failures", [])[len(job.status.get("failures", [])) :]:
            self.journal.count("failures", failure["reason"])
            self.journal.write("attempt failed", job=job.name, attempt=failure["attempt"], reason=failure["reason"])
        if (resumed := status.get("resumedFrom")) and resumed != job.status.get("resumedFrom"):
            self.journal.count("work", "resumed")
            self.journal.write("resumed", job=job.name, attempt=status["attempt"], **{"from": resumed})
        job.status = status
        if job.gone is None and status.get("phase") in ("Succeeded", "Failed"):
            job.gone = time.monotonic()
            self.see_end(job)

    def see_end(self, job: Known) -> None:
        """Hold what a job that is over said and left to the promise."""
        problems = list(of_end(job.name, job.status, may_run_out_of_memory="memory ran out" in job.met))
        if job.status["phase"] == "Succeeded":
            left = endings.of_success(job.name, job.drawn.epochs, job.status)
            problems += left.problems
            for what, times in left.counts.items():
                self.journal.count("work", what, times)
        self.journal.count("jobs", job.status["phase"])
        self.journal.count("work", "attempts", job.status.get("attempt", 0))
        self.journal.write("over", job=job.name, met=sorted(job.met), status=job.status)
        for problem in problems:
            self.journal.problem(problem)

    def delete(self, job: Known) -> None:
        """Delete a job, as a user does."""
        self.scene.ask("DELETE", self.scene.path("trainjobs", job.name))
        job.gone, job.deleted = time.monotonic(), True
        self.journal.count("jobs", "deleted")

    def see_to_what_is_left(self, jobs: list[Object]) -> None:
        """See that what jobs had in the cluster goes, once they are over or deleted."""
        leaving = [each for each in self.known.values() if each.gone is not None and not each.cleared]
        if not leaving:
            return
        others = {kind: self.scene.found(kind) for kind in KINDS if kind not in ("jobs", "trainjobs")}
        for job in leaving:
            left = [
                f"{kind}/{item['metadata']['name']}"
                for kind, items in {"jobs": jobs, **others}.items()
                for item in items
                if labels_of(item)[names.UID] == job.uid
            ]
            assert job.gone is not None
            job.cleared = not left
            within = SECONDS_TO_STOP if job.deleted else SECONDS_TO_CLEAR
            if left and time.monotonic() - job.gone > within:
                why = "deleted" if job.deleted else "over"
                self.journal.problem(f"{job.name} is {why} for {within} s, and has left {', '.join(sorted(left))}")
                job.cleared = True
