"""What a job's status says: where it is, how far, by which port, and what it left."""

from __future__ import annotations

from datetime import datetime

from mmaction_operator.api import TrainJob
from mmaction_operator.api.status import (
    LONGEST_TEXT,
    BestStatus,
    FailureStatus,
    Phase,
    ProgressStatus,
    ProtocolStatus,
    ResultsStatus,
    ResumedStatus,
    ScoreStatus,
    TrainJobStatus,
)
from mmaction_operator.render import Rendered
from mmaction_trainer.contract.errors import ConfigFailure
from mmaction_trainer.contract.progress import Progress, Stage
from mmaction_trainer.contract.result import LONGEST_LINE, MOST_LINES, Result, Score

from .course import Course
from .failures import FailureSeen
from .run import identity_of, results_uri
from .sayings import conditions_of

PHASES: dict[Stage, Phase] = {
    "Preparing": "Starting",
    "Starting": "Starting",
    "Testing": "Testing",
    "Uploading": "Testing",
}
"""Of an attempt whose pods run, by what its trainer last said; where that is not named here, it is Running."""


def status_of(
    job: TrainJob,
    rendered: Rendered | ConfigFailure,
    course: Course,
    *,
    port: int | None,
    progress: Progress | None,
    now: datetime,
    refused: str = "",
) -> TrainJobStatus:
    """The status of a job.

    Args:
        job: as the API server has it, with the status that was last written.
        rendered: its config, or why it has none.
        course: where it is.
        port: the port that is leased for its attempt, once one is.
        progress: the newest that its trainer said, if anything came since this controller started.
        now: the time, for conditions that change.
        refused: why the API server did not take what should exist next.
    """
    before = job.status or TrainJobStatus()
    pods = course.seen.pods if course.seen else ()
    training = course.stage != "Preflight" and course.attempt > 0
    epochs = rendered.epochs if isinstance(rendered, Rendered) else 0
    return TrainJobStatus(
        observed_generation=job.metadata.generation,
        phase=phase_of(course, progress, before),
        conditions=conditions_of(job, course, refused, now),
        attempt=course.attempt if training else before.attempt,
        resumed_from=resumed_of(course, progress, before),
        failures=failures_of(course) or before.failures,
        port=port_of(course, port, before) if training else before.port,
        nodes=[pod.node for pod in pods if pod.node] if training else [],
        effective_lr=before.effective_lr or (None if isinstance(rendered, ConfigFailure) else rendered.effective_lr),
        config_sha256=before.config_sha256 or (None if isinstance(rendered, ConfigFailure) else rendered.sha256),
        progress=newest(course, progress, before.progress, epochs) if training else before.progress,
        results=results_of(job, course.result) if course.stage == "Complete" else before.results,
    )


def resumed_of(course: Course, progress: Progress | None, before: TrainJobStatus) -> ResumedStatus | None:
    """Where this attempt went on; as it was known, where its trainer has told this controller nothing yet."""
    if progress and progress.resumed:
        return ResumedStatus(**progress.resumed.model_dump())
    return before.resumed_from if before.attempt == course.attempt else None


def port_of(course: Course, leased: int | None, before: TrainJobStatus) -> int | None:
    """The port of the attempt; none while nothing is to train."""
    if course.held and not course.seen:
        return None
    return leased or (course.seen.port if course.seen else before.port)


def failures_of(course: Course) -> list[FailureStatus]:
    """The attempts that failed, for the record; last lines of the newest alone, or a status would grow with them."""
    return [
        FailureStatus(
            attempt=past.attempt,
            reason=past.failure.name,
            message=past.failure.message[:LONGEST_TEXT],
            rank=past.failure.rank,
            pod=past.failure.pod or None,
            node=past.failure.node or None,
            last_lines=lines_of(past.failure) if past is course.failed[-1] else [],
            port=past.port or None,
            began=past.began,
            ended=past.ended,
        )
        for past in course.failed
    ]


def lines_of(failure: FailureSeen) -> list[str]:
    """The last lines of a failure, as few and as short as a status takes: its trainer may be of another version."""
    return [line[:LONGEST_LINE] for line in failure.last_lines[-MOST_LINES:]]


def phase_of(course: Course, progress: Progress | None, before: TrainJobStatus) -> Phase:
    """One word for a table."""
    if course.stage in ("Invalid", "Failed"):
        return "Failed"
    if course.stage == "Complete":
        return "Succeeded"
    if course.held:
        return "Suspended"
    if course.seen and course.seen.queue is not None:
        return "Pending"
    if course.seen is None or not course.seen.pods or any(pod.waiting for pod in course.seen.pods):
        return "Pending"
    if course.stage == "Preflight":
        return "Validating"
    if progress and progress.stage == "Done" and before.phase:
        return before.phase  # until its pods have ended: it may have failed at whatever it did
    if progress is None and before.attempt == course.attempt and before.phase in ("Running", "Testing"):
        return before.phase  # another controller heard that; this one will
    return PHASES.get(progress.stage if progress else "Starting", "Running")


def newest(
    course: Course, progress: Progress | None, before: ProgressStatus | None, epochs: int
) -> ProgressStatus | None:
    """How far the job is. Of one that has ended well the last posts may be lost, or all: then, as what it left says."""
    known = progress_of(progress) if progress else before
    if known and course.held:
        return known.model_copy(update={"eta": None})
    told = progress and progress.stage in ("Uploading", "Done")
    if told or course.stage != "Complete" or course.result is None:
        return known
    known, val, test = known or ProgressStatus(), course.result.val, course.result.test
    if not epochs:
        return known.model_copy(update={"top1": rounded(test.top1) if test else known.top1, "eta": None})
    best = BestStatus(top1=rounded(val.top1), epoch=val.epoch) if val and val.epoch is not None else known.best
    return known.model_copy(update={"epoch": epochs, "epochs": epochs, "best": best, "eta": None})


def progress_of(progress: Progress) -> ProgressStatus:
    """How far the training is."""
    return ProgressStatus(
        epoch=progress.epoch,
        epochs=progress.epochs,
        iteration=progress.iteration,
        iterations=progress.iterations,
        loss=progress.loss,
        top1=None if progress.top1 is None else rounded(progress.top1),
        best=BestStatus(top1=rounded(progress.best.top1), epoch=progress.best.epoch) if progress.best else None,
        eta=duration(progress.eta_seconds) if progress.eta_seconds is not None else None,
        observed_at=progress.observed_at,
    )


def rounded(accuracy: float) -> float:
    """An accuracy as it stands in kubectl's table, which shows every digit; results have all of them."""
    return round(accuracy, 4)


def duration(seconds: float) -> str:
    """A time as kubectl shows ages, such as 2h13m."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours}h"
    if hours:
        return f"{hours}h{minutes}m"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def results_of(job: TrainJob, result: Result | None) -> ResultsStatus:
    """What the job left in storage."""
    if result is None:
        return ResultsStatus(uri=results_uri(job.spec.storage.uri, identity_of(job)))
    return ResultsStatus(
        uri=result.results_uri,
        manifest_sha256=result.manifest_sha256,
        val=score(result.val),
        test=score(result.test),
    )


def score(found: Score | None) -> ScoreStatus | None:
    """A score with its protocol."""
    if found is None:
        return None
    protocol = ProtocolStatus(clips=found.protocol.clips, crops=found.protocol.crops)
    return ScoreStatus(protocol=protocol, top1=found.top1, top5=found.top5)
