"""The conditions of a job in words: where it is, what it waits for, why it failed, and what a user can do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mmaction_operator.api import TrainJob
from mmaction_operator.api.status import Condition

from .conditions import COMPLETE, FAILED, PREFLIGHTED, RUNNING, SUSPENDED, VALIDATED, Reason
from .course import Course
from .failures import FailureSeen, has_failed
from .observed import AttemptSeen, PodSeen

LONGEST_MESSAGE = 4000
HELD = "spec.suspend is true: nothing trains until it is false, and the attempt then goes on from its newest checkpoint"

Saying = tuple[str, str, str, str]
"""A condition to be: type, status, reason, message."""


def conditions_of(job: TrainJob, course: Course, refused: str, now: datetime) -> list[Condition]:
    """The conditions of a job, each with the time since when it has its status.

    Args:
        job: as the API server has it, with the status that was last written.
        course: where it is.
        refused: why the API server did not take what should exist next; empty if it did.
        now: the time, for conditions that change.
    """
    earlier = {condition.type: condition for condition in (job.status.conditions if job.status else ())}
    made = []
    for kind, status, reason, message in sayings(job, course, refused):
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


def sayings(job: TrainJob, course: Course, refused: str) -> list[Saying]:
    """The conditions that hold now."""
    failure = course.failure
    checked = (Reason.PASSED, "data, storage, weights and model are as they should be")
    if not job.spec.preflight:
        checked = (Reason.NOT_ASKED, "spec.preflight is false: nothing was checked before the pods were made")
    if course.stage == "Invalid":
        assert failure
        return [(VALIDATED, "False", failure.name, failure.message), (FAILED, "True", failure.name, failure.message)]
    said: list[Saying] = [(VALIDATED, "True", Reason.RENDERED, "the config renders"), *suspension(job, course)]
    if course.stage == "Preflight":
        checking = waiting(course.seen, Reason.CHECKING, "data, storage, weights and model are checked")
        return [*said, (PREFLIGHTED, "False", *(not_made(refused) if refused else checking))]
    if course.stage == "Failed" and course.attempt == 0:
        assert failure
        return [*said, (PREFLIGHTED, "False", failure.name, failure.message), failed(course)]
    said.append((PREFLIGHTED, "True", *checked))
    if course.stage == "Complete":
        return [
            *said,
            (RUNNING, "False", Reason.ENDED, "the pods have ended"),
            (COMPLETE, "True", Reason.SUCCEEDED, succeeded(course)),
        ]
    if course.stage == "Failed":
        return [*said, (RUNNING, "False", Reason.ENDED, "the pods have ended"), failed(course)]
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
            message = f"attempt {course.attempt - 1} failed ({course.failure.name}): {blamed(course.failure)}"
            return RUNNING, "False", Reason.RETRYING, message
        return RUNNING, "False", Reason.CREATING, "the pods are being made"
    if course.seen.queue is not None:
        return RUNNING, "False", Reason.QUEUED, queued(course.seen)
    pods = course.seen.pods
    if pods and all(pod.runs or pod.exit_code == 0 for pod in pods):
        return RUNNING, "True", Reason.TRAINING, f"attempt {course.attempt} runs on port {course.seen.port}"
    if over := [pod for pod in pods if pod.has_ended and has_failed(pod)]:
        return RUNNING, "False", Reason.ENDING, ending(over[0], [pod for pod in pods if not pod.has_ended])
    return RUNNING, "False", *waiting(course.seen, Reason.STARTING, "the pods are being started")


def ending(failed: PodSeen, left: Sequence[PodSeen]) -> str:
    """What an attempt waits for of which a pod has failed."""
    others = ", ".join(f"{pod.name} on {pod.node or 'no node'}" for pod in left)
    said = f"pod {failed.name} has failed; the attempt is over once the others are"
    return f"{said}: {others}. A node that does not come back has to be deleted." if others else said


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
    return FAILED, "True", course.failure.name, f"{which} failed: {blamed(course.failure)}"


def blamed(failure: FailureSeen) -> str:
    """What failed first, and why."""
    return (
        f"{failure.who}: {failure.message.removeprefix(f'rank {failure.rank}: ')}" if failure.who else failure.message
    )


def succeeded(course: Course) -> str:
    """What a job that is complete left."""
    if course.result is None:
        return "the pods succeeded, but what they said of their results is lost; see storage"
    return f"results are in {course.result.results_uri}"
