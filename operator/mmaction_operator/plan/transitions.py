"""The events that a change of status is told by: everything that a user would ask "why?" about, once."""

from __future__ import annotations

from dataclasses import dataclass

from mmaction_operator.api.status import Condition, TrainJobStatus

from .conditions import ATTEMPT_FAILED, FAILED, JOB_FAILED, PORT_CONFLICT, telling
from .course import Course


@dataclass(frozen=True)
class Happening:
    """An event of a job."""

    reason: str
    message: str
    warning: bool = False


def happenings(before: TrainJobStatus | None, now: TrainJobStatus, course: Course) -> list[Happening]:
    """What changed between two statuses, as events."""
    earlier = {condition.type: condition for condition in before.conditions} if before else {}
    told = [c for c in now.conditions if c.type == FAILED] or now.conditions  # its message holds what led to it
    found = list(dict.fromkeys(of_condition(c) for c in told if is_news(c, earlier.get(c.type))))
    if course.failure and course.stage == "Attempt" and now.attempt != (before.attempt if before else None):
        found.append(of_retry(course))
    return found


def is_news(condition: Condition, earlier: Condition | None) -> bool:
    """Whether a condition says what it did not say before, and a user wants to know."""
    return telling(condition.reason) != "none" and (earlier is None or earlier.reason != condition.reason)


def of_condition(condition: Condition) -> Happening:
    """The event of a condition: its reason, unless another word says more."""
    if condition.type == FAILED:
        return Happening(JOB_FAILED, condition.message, warning=True)
    return Happening(condition.reason, condition.message, warning=telling(condition.reason) == "warning")


def of_retry(course: Course) -> Happening:
    """The event of an attempt that follows a failed one."""
    assert course.failure
    before = course.attempt - 1
    if course.failure.name == "Port":
        message = (
            f"attempt {before}: {course.failure.message}. Another port is taken; this does not count as a failure."
        )
        return Happening(PORT_CONFLICT, message, warning=True)
    return Happening(ATTEMPT_FAILED, f"attempt {before} failed: {course.failure.message}", warning=True)
