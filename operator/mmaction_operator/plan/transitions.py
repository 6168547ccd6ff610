"""The events that a change of status is told by: everything that a user would ask "why?" about, once."""

from __future__ import annotations

from dataclasses import dataclass

from mmaction_operator.api.status import Condition, TrainJobStatus

from .conditions import ATTEMPT_FAILED, FAILED, JOB_FAILED, PORT_CONFLICT, telling
from .course import Course
from .failures import FailureSeen
from .sayings import blamed

LONGEST_EVENT = 1024
"""Characters of a message that the API takes."""
LAST_LINES, STOOD = "Its last lines:", "It stood here, the innermost first:"


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
    found = list(dict.fromkeys(of_condition(c, course) for c in told if is_news(c, earlier.get(c.type))))
    if course.failure and course.stage == "Attempt" and now.attempt != (before.attempt if before else None):
        found.append(of_retry(course))
    return found


def is_news(condition: Condition, earlier: Condition | None) -> bool:
    """Whether a condition says what it did not say before, and a user wants to know."""
    return telling(condition.reason) != "none" and (earlier is None or earlier.reason != condition.reason)


def of_condition(condition: Condition, course: Course) -> Happening:
    """The event of a condition: its reason, unless another word says more."""
    if condition.type == FAILED:
        return Happening(JOB_FAILED, with_last_lines(condition.message, course.failure), warning=True)
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
    message = f"attempt {before} failed: {blamed(course.failure)}"
    return Happening(ATTEMPT_FAILED, with_last_lines(message, course.failure), warning=True)


def with_last_lines(message: str, failure: FailureSeen | None) -> str:
    """A message, and below it as many of the last lines of the rank that failed first as an event has room for."""
    if failure is None:
        return message
    heading, lines = STOOD if failure.hung else LAST_LINES, list(failure.last_lines)
    while lines and len("\n".join((message, heading, *lines))) > LONGEST_EVENT:
        lines.pop(-1 if failure.hung else 0)
    return "\n".join((message, heading, *lines)) if lines else message
