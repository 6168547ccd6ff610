"""Where a job is on its way, decided from what exists alone.

    Invalid ── the config does not render
    Preflight ── a small pod checks data, storage and weights
    Attempt n ── a Job trains; a failed one is followed by the next, after a wait
    Complete, Failed ── the end

Level-triggered: an attempt's number follows from the Jobs that exist and from the status that was last written, never
from an event. So an event may come twice, late or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from mmaction_operator.api import TrainJob
from mmaction_operator.api.status import TrainJobStatus
from mmaction_operator.render import Rendered
from mmaction_trainer.contract.errors import ConfigFailure
from mmaction_trainer.contract.result import Result

from .failures import MOST_FREE, FailureSeen, charged, failure_of
from .names import PREFLIGHT
from .observed import AttemptSeen

PREFLIGHTED = "Preflighted"
"""The condition that says so."""

Stage = Literal["Invalid", "Preflight", "Attempt", "Complete", "Failed"]

FIRST_WAIT = timedelta(seconds=10)
LONGEST_WAIT = timedelta(minutes=5)
"""Between a charged failure and the next attempt: 10 s, doubled with each, to 5 minutes."""


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
        avoid: ports that attempts of this job have met trouble on.
    """

    stage: Stage
    attempt: int = PREFLIGHT
    seen: AttemptSeen | None = None
    failure: FailureSeen | None = None
    begin: datetime | None = None
    result: Result | None = None
    lost: AttemptSeen | None = None
    avoid: frozenset[int] = frozenset()


def course_of(job: TrainJob, rendered: Rendered | ConfigFailure, attempts: Sequence[AttemptSeen]) -> Course:
    """Where a job is on its way.

    Args:
        job: as the API server has it, with its status.
        rendered: its config, or why it has none.
        attempts: what is seen of its attempts, in their order.
    """
    if isinstance(rendered, ConfigFailure):
        return Course("Invalid", failure=FailureSeen(rendered.name, str(rendered)))
    preflight = [attempt for attempt in attempts if attempt.attempt == PREFLIGHT]
    training = [attempt for attempt in attempts if attempt.attempt != PREFLIGHT]
    if job.spec.preflight and not training and not is_checked(job):
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
    return job.status is not None and is_over(job.status)


def is_over(status: TrainJobStatus) -> bool:
    """Whether a status says that its job is over."""
    return any((c.type in ("Complete", "Failed")) and c.status == "True" for c in status.conditions)


def is_checked(job: TrainJob) -> bool:
    """Whether the preflight is over, though its Job may be gone."""
    conditions = job.status.conditions if job.status else []
    return any((condition.type, condition.status) == (PREFLIGHTED, "True") for condition in conditions)


def course_of_training(job: TrainJob, attempts: Sequence[AttemptSeen]) -> Course:
    """Where a job is that has been checked."""
    known = (job.status.attempt or 0) if job.status else 0
    if not attempts or attempts[-1].attempt < known:  # leased and not made yet, or removed by somebody
        return Course("Attempt", attempt=max(known, 1), avoid=troubled(attempts))
    newest = attempts[-1]
    if newest.state == "Active":
        return Course("Attempt", newest.attempt, newest, avoid=troubled(attempts))
    if newest.state == "Complete":
        return complete(newest)
    failures = [failure_of(attempt) for attempt in attempts if attempt.state == "Failed"]
    if gives_up(job, failures):
        return Course("Failed", newest.attempt, newest, failures[-1])
    return Course(
        "Attempt", newest.attempt + 1, None, failures[-1], begin_after(newest, failures), avoid=troubled(attempts)
    )


def complete(attempt: AttemptSeen) -> Course:
    """The end of a job whose pods all succeeded: what its first node said."""
    said = attempt.first.result if attempt.first else None
    return Course("Complete", attempt.attempt, attempt, result=said)


def gives_up(job: TrainJob, failures: Sequence[FailureSeen]) -> bool:
    """Whether the newest of these failures is the job's last."""
    if failures[-1].retry == "never":
        return True
    return charged(failures) > job.spec.backoff_limit or len(failures) - charged(failures) > MOST_FREE


def begin_after(attempt: AttemptSeen, failures: Sequence[FailureSeen]) -> datetime | None:
    """When the attempt after a failed one may begin."""
    if failures[-1].retry == "free" or attempt.ended is None:
        return None
    doubled: timedelta = FIRST_WAIT * 2 ** min(charged(failures) - 1, 10)
    return attempt.ended + min(doubled, LONGEST_WAIT)


def troubled(attempts: Sequence[AttemptSeen]) -> frozenset[int]:
    """Ports that something else held."""
    return frozenset(
        attempt.port for attempt in attempts if attempt.state == "Failed" and failure_of(attempt).name == "Port"
    )
