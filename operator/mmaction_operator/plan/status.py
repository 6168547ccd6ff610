"""What a job's status says: where it is, since when, and what a user can do where it waits or failed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from mmaction_operator.api import TrainJob
from mmaction_operator.api.status import (
    BestStatus,
    Condition,
    FailureStatus,
    Phase,
    ProgressStatus,
    ProtocolStatus,
    ResultsStatus,
    ScoreStatus,
    TrainJobStatus,
)
from mmaction_operator.render import Rendered
from mmaction_trainer.contract.errors import ConfigFailure
from mmaction_trainer.contract.progress import Progress, Stage
from mmaction_trainer.contract.result import Result, Score

from .conditions import COMPLETE, FAILED, PREFLIGHTED, RUNNING, SUSPENDED, VALIDATED, Reason
from .course import Course
from .observed import AttemptSeen, PodSeen
from .run import identity_of, results_uri

LONGEST_MESSAGE = 4000

PHASES: dict[Stage, Phase] = {
    "Preparing": "Starting",
    "Starting": "Starting",
    "Testing": "Testing",
    "Uploading": "Testing",
}
"""Of an attempt whose pods run, by what its trainer last said; where that is not named here, it is Running."""

HELD = "spec.suspend is true: nothing trains until it is false"

Saying = tuple[str, str, str, str]
"""A condition to be: type, status, reason, message."""


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
    return TrainJobStatus(
        observed_generation=job.metadata.generation,
        phase=phase_of(course, progress, before),
        conditions=conditions_of(job, before, sayings(job, course, refused), now),
        attempt=course.attempt if training else before.attempt,
        failures=failures_of(course) or before.failures,
        port=port_of(course, port, before) if training else before.port,
        nodes=[pod.node for pod in pods if pod.node] if training else [],
        effective_lr=before.effective_lr or (None if isinstance(rendered, ConfigFailure) else rendered.effective_lr),
        config_sha256=before.config_sha256 or (None if isinstance(rendered, ConfigFailure) else rendered.sha256),
        progress=newest(course, progress, before.progress) if training else before.progress,
        results=results_of(job, course.result) if course.stage == "Complete" else before.results,
    )


def port_of(course: Course, leased: int | None, before: TrainJobStatus) -> int | None:
    """The port of the attempt; none while nothing is to train."""
    if course.held and not course.seen:
        return None
    return leased or (course.seen.port if course.seen else before.port)


def failures_of(course: Course) -> list[FailureStatus]:
    """The attempts that failed, for the record."""
    return [
        FailureStatus(
            attempt=past.attempt,
            reason=past.failure.name,
            port=past.port or None,
            began=past.began,
            ended=past.ended,
        )
        for past in course.failed
    ]


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
    return PHASES.get(progress.stage if progress else "Starting", "Running")


def sayings(job: TrainJob, course: Course, refused: str) -> list[Saying]:
    """The conditions that hold now."""
    failure = course.failure
    checked = (Reason.PASSED, "data, storage and weights are as they should be")
    if not job.spec.preflight:
        checked = (Reason.NOT_ASKED, "spec.preflight is false: nothing was checked before the pods were made")
    if course.stage == "Invalid":
        assert failure
        return [(VALIDATED, "False", failure.name, failure.message), (FAILED, "True", failure.name, failure.message)]
    said: list[Saying] = [(VALIDATED, "True", Reason.RENDERED, "the config renders"), *suspension(job, course)]
    if course.stage == "Preflight":
        checking = waiting(course.seen, Reason.CHECKING, "data, storage and weights are checked")
        return [*said, (PREFLIGHTED, "False", *(not_made(refused) if refused else checking))]
    if course.stage == "Failed" and course.attempt == 0:
        assert failure
        return [*said, (PREFLIGHTED, "False", failure.name, failure.message), failed(course)]
    said.append((PREFLIGHTED, "True", *checked))
    if course.stage == "Complete":
        return [
            *said,
            (RUNNING, "False", Reason.ENDED, "training has ended"),
            (COMPLETE, "True", Reason.SUCCEEDED, succeeded(course)),
        ]
    if course.stage == "Failed":
        return [*said, (RUNNING, "False", Reason.ENDED, "training has ended"), failed(course)]
    return [*said, running(course, refused)]


def not_made(refused: str) -> tuple[str, str]:
    """That the API server did not take an object."""
    return Reason.NOT_MADE, f"{refused}. It is tried again: begins once this is mended"


def suspension(job: TrainJob, course: Course) -> list[Saying]:
    """Whether nothing is to train for now, where that was ever so."""
    if course.held:
        return [(SUSPENDED, "True", Reason.SUSPENDED, HELD)]
    known = any(condition.type == SUSPENDED for condition in (job.status.conditions if job.status else ()))
    return [(SUSPENDED, "False", Reason.RESUMED, "spec.suspend is false")] if known else []


def running(course: Course, refused: str) -> Saying:
    """Whether an attempt trains, and what it waits for."""
    if course.held:
        return RUNNING, "False", Reason.SUSPENDED, HELD
    if course.seen is None and refused:
        return RUNNING, "False", *not_made(refused)
    if course.seen is None:
        if course.failure:
            message = f"attempt {course.attempt - 1} failed ({course.failure.name}): {course.failure.message}"
            return RUNNING, "False", Reason.RETRYING, message
        return RUNNING, "False", Reason.CREATING, "the pods are being made"
    if course.seen.queue is not None:
        return RUNNING, "False", Reason.QUEUED, queued(course.seen)
    pods = course.seen.pods
    if pods and all(pod.runs or pod.exit_code == 0 for pod in pods):
        return RUNNING, "True", Reason.TRAINING, f"attempt {course.attempt} runs on port {course.seen.port}"
    return RUNNING, "False", *waiting(course.seen, Reason.STARTING, "the pods are being started")


def queued(seen: AttemptSeen) -> str:
    """What an attempt waits for whose Job is suspended."""
    if seen.queue:
        return f"waits in Kueue's queue {seen.queue}: `kubectl get workloads` says for what"
    return f"somebody suspended the Job {seen.name}, and has to resume it"


def waiting(seen: AttemptSeen | None, reason: str, message: str) -> tuple[str, str]:
    """Why pods wait, if somebody has to know; else that all goes its way."""
    if seen and seen.state == "Active" and not seen.pods:
        do = f"if that lasts, `kubectl describe job {seen.name}` says why (a quota, the pod security level ...)"
        return Reason.NO_PODS, f"the Job {seen.name} has made no pod yet; {do}"
    held = next((pod for pod in seen.pods if pod.waiting), None) if seen else None
    if not held or not held.waiting:
        return reason, message
    return held.waiting[0], advice(held)


def advice(pod: PodSeen) -> str:
    """What a pod waits for, and what to do."""
    assert pod.waiting
    reason, message = pod.waiting
    do = {
        "Unschedulable": "It begins when a node has room; to ask for less, apply it under another name with other "
        "spec.resources or spec.pods.nodeSelector.",
        "CreateContainerConfigError": "It begins once that is there: create the Secret that "
        "spec.storage.credentialsSecret names in the job's namespace.",
    }.get(reason, "It begins once the image can be pulled: see spec.pods.image and the node's access to its registry.")
    return f"pod {pod.name}: {(message or reason).rstrip('.')}. {do}"


def failed(course: Course) -> Saying:
    """Why a job failed."""
    assert course.failure
    which = "preflight" if course.attempt == 0 else f"attempt {course.attempt}"
    where = f" (pod {course.failure.pod})" if course.failure.pod else ""
    return FAILED, "True", course.failure.name, f"{which} failed{where}: {course.failure.message}"


def succeeded(course: Course) -> str:
    """What a job that is complete left."""
    if course.result is None:
        return "the pods succeeded, but what they said of their results is lost; see storage"
    return f"results are in {course.result.results_uri}"


def conditions_of(job: TrainJob, before: TrainJobStatus, said: Iterable[Saying], now: datetime) -> list[Condition]:
    """Conditions, each with the time since when it has its status."""
    earlier = {condition.type: condition for condition in before.conditions}
    made = []
    for kind, status, reason, message in said:
        same = kind in earlier and earlier[kind].status == status
        made.append(
            Condition.model_validate(
                {
                    "type": kind,
                    "status": status,
                    "observedGeneration": job.metadata.generation,
                    "lastTransitionTime": earlier[kind].last_transition_time if same else now,
                    "reason": reason,
                    "message": message[:LONGEST_MESSAGE],
                }
            )
        )
    return made


def newest(course: Course, progress: Progress | None, before: ProgressStatus | None) -> ProgressStatus | None:
    """How far the training is. Of one that has ended well the last posts may be lost: then, as what it left says."""
    known = progress_of(progress) if progress else before
    told = progress and progress.stage in ("Uploading", "Done")
    if known is None or told or course.stage != "Complete" or course.result is None:
        return known
    val = course.result.val
    best = BestStatus(top1=val.top1, epoch=val.epoch) if val and val.epoch is not None else known.best
    return known.model_copy(update={"epoch": known.epochs, "best": best, "eta": None})


def progress_of(progress: Progress) -> ProgressStatus:
    """How far the training is."""
    return ProgressStatus(
        epoch=progress.epoch,
        epochs=progress.epochs,
        iteration=progress.iteration,
        iterations=progress.iterations,
        loss=progress.loss,
        top1=progress.top1,
        best=BestStatus(top1=progress.best.top1, epoch=progress.best.epoch) if progress.best else None,
        eta=duration(progress.eta_seconds) if progress.eta_seconds is not None else None,
        observed_at=progress.observed_at,
    )


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
