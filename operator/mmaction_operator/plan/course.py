"""Where a job is on its way, decided from what exists alone.

    Invalid ── the config does not render
    Preflight ── a small pod checks data, storage, weights and model
    Attempt n ── a Job trains; a failed one is followed by the next, after a wait
    Complete, Failed ── the end

Level-triggered: an attempt's number follows from the Jobs that exist and from the status that was last written, never
from an event. So an event may come twice, late or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from mmaction_operator.api import TrainJob
from mmaction_operator.api.status import FailureStatus
from mmaction_operator.render import Rendered
from mmaction_trainer.contract.errors import ConfigFailure
from mmaction_trainer.contract.result import Result

from .conditions import PREFLIGHTED, holds, is_over
from .failures import DEADLINE, MOST_FREE, FailureSeen, charged, failure_of
from .names import PREFLIGHT
from .observed import AttemptSeen

Stage = Literal["Invalid", "Preflight", "Attempt", "Complete", "Failed"]

FIRST_WAIT = timedelta(seconds=10)
LONGEST_WAIT = timedelta(minutes=5)
"""Between a charged failure and the next attempt: 10 s, doubled with each, to 5 minutes."""


@dataclass(frozen=True)
class FailedAttempt:
    """An attempt that failed, and why."""

    attempt: int
    port: int
    ended: datetime | None
    failure: FailureSeen
    began: datetime | None = None

    @property
    def lasted(self) -> timedelta:
        """How long it took, as far as that is known."""
        return self.ended - self.began if self.ended and self.began else timedelta()


@dataclass(frozen=True)
class Course:
    """Where a job is.

    Attributes:
        stage: see the module.
        attempt: the attempt that this is about; 0 is preflight.
        seen: that attempt as it is in the cluster; None where it is yet to be made.
        failure: why the job failed, or why the attempt before this one did.
        begin: when the attempt may be made; None for at once.
        result: what the job left, once it is complete.
        lost: a preflight that Kubernetes took away: its pod is to be removed, and made again.
        failed: the attempts that failed before.
        held: whether nothing is to train for now: what does is to be ended, and nothing is to be made.
    """

    stage: Stage
    attempt: int = PREFLIGHT
    seen: AttemptSeen | None = None
    failure: FailureSeen | None = None
    begin: datetime | None = None
    result: Result | None = None
    lost: AttemptSeen | None = None
    failed: tuple[FailedAttempt, ...] = ()
    held: bool = False

    @property
    def avoid(self) -> frozenset[int]:
        """Ports that something else held."""
        return frozenset(attempt.port for attempt in self.failed if attempt.failure.name == "Port")


def course_of(job: TrainJob, rendered: Rendered | ConfigFailure, attempts: Sequence[AttemptSeen]) -> Course:
    """Where a job is on its way.

    Args:
        job: as the API server has it, with its status.
        rendered: its config, or why it has none.
        attempts: what is seen of its attempts, in their order.
    """
    course = course_unheld(job, rendered, attempts)
    return replace(course, held=job.spec.suspend and course.stage in ("Preflight", "Attempt"))


def course_unheld(job: TrainJob, rendered: Rendered | ConfigFailure, attempts: Sequence[AttemptSeen]) -> Course:
    """Where a job is on its way, suspended or not."""
    if isinstance(rendered, ConfigFailure):
        return Course("Invalid", failure=FailureSeen(rendered.name, str(rendered)))
    preflight = [attempt for attempt in attempts if attempt.attempt == PREFLIGHT]
    training = [attempt for attempt in attempts if attempt.attempt != PREFLIGHT]
    if job.spec.preflight and not training and not holds(job.status, PREFLIGHTED):
        if not preflight or preflight[0].state == "Active":
            return Course("Preflight", seen=preflight[0] if preflight else None)
        if preflight[0].state == "Failed":
            failure = failure_of(preflight[0])
            if failure.retry == "free":
                return Course("Preflight", failure=failure, lost=preflight[0])
            return Course("Failed", seen=preflight[0], failure=failure)
    return course_of_training(job, training)


def is_finished(job: TrainJob) -> bool:
    """Whether a job is over: nothing that happens afterwards, to its objects say, makes it run again."""
    return is_over(job.status)


def course_of_training(job: TrainJob, attempts: Sequence[AttemptSeen]) -> Course:
    """Where a job is that has been checked."""
    known = (job.status.attempt or 0) if job.status else 0
    failed = failed_of(job, attempts)
    newest = attempts[-1] if attempts else None
    if newest and newest.state == "Complete" and not newest.untold:
        return complete(newest, failed)
    if failed and failed[-1].attempt + 1 >= max(known, newest.attempt + 1 if newest else 0):
        return course_after(job, failed, newest)
    if newest and newest.attempt >= known:
        return Course("Attempt", newest.attempt, newest, failed=failed)
    return Course("Attempt", max(known, 1), failed=failed)  # to be made, or removed by somebody


def failed_of(job: TrainJob, attempts: Sequence[AttemptSeen]) -> tuple[FailedAttempt, ...]:
    """The attempts that failed, in their order; one that is on record as what it was taken for, as its pods may go."""
    found = {
        seen.attempt: FailedAttempt(seen.attempt, seen.port, seen.ended, failure_of(seen), seen.began)
        for seen in attempts
        if seen.state == "Failed" or seen.untold
    }
    for past in job.status.failures if job.status else ():
        seen = found.get(past.attempt)
        if seen is None or seen.failure.name != past.reason or past.message:
            failure = of_record(past)
            found[past.attempt] = FailedAttempt(past.attempt, past.port or 0, past.ended, failure, past.began)
    return tuple(found[number] for number in sorted(found))


def of_record(past: FailureStatus) -> FailureSeen:
    """A failure as it was taken down."""
    message = past.message or "its pods are gone, and with them what they had to say"
    return FailureSeen(
        past.reason, message, past.pod or "", past.node or "", rank=past.rank, last_lines=tuple(past.last_lines)
    )


def course_after(job: TrainJob, failed: tuple[FailedAttempt, ...], newest: AttemptSeen | None) -> Course:
    """Where a job is whose newest attempt failed: the same before the next one is on record as after."""
    last, failures = failed[-1], [attempt.failure for attempt in failed]
    too_late = seconds_left(job, failed) == 0 and failures[-1].retry != "never"
    if not too_late and not gives_up(job, failures):
        return Course("Attempt", last.attempt + 1, None, last.failure, begin_after(last, failures), failed=failed)
    if newest and newest.untold:
        return complete(newest, failed[:-1])
    return Course("Failed", last.attempt, newest, DEADLINE if too_late else last.failure, failed=failed)


def complete(attempt: AttemptSeen, failed: tuple[FailedAttempt, ...]) -> Course:
    """The end of a job whose pods all succeeded: what its first node said."""
    said = attempt.first.result if attempt.first else None
    return Course("Complete", attempt.attempt, attempt, result=said, failed=failed)


def gives_up(job: TrainJob, failures: Sequence[FailureSeen]) -> bool:
    """Whether the newest of these failures is the job's last."""
    if failures[-1].retry == "never":
        return True
    return charged(failures) > job.spec.backoff_limit or len(failures) - charged(failures) > MOST_FREE


def seconds_left(job: TrainJob, failed: Sequence[FailedAttempt]) -> int | None:
    """For how long the next attempt may train; None for as long as it wants."""
    if job.spec.active_deadline_seconds is None:
        return None
    used = sum((attempt.lasted for attempt in failed), timedelta())
    return max(0, job.spec.active_deadline_seconds - int(used.total_seconds()))


def begin_after(attempt: FailedAttempt, failures: Sequence[FailureSeen]) -> datetime | None:
    """When the attempt after a failed one may begin."""
    if failures[-1].retry == "free" or attempt.ended is None:
        return None
    doubled: timedelta = FIRST_WAIT * 2 ** min(charged(failures) - 1, 10)
    return attempt.ended + min(doubled, LONGEST_WAIT)
