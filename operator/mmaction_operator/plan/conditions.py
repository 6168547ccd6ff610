"""The words of a status: which conditions a job has, the reasons for them, and how users are told of each reason."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

from mmaction_operator.api.status import TrainJobStatus

VALIDATED, PREFLIGHTED, SUSPENDED, RUNNING = "Validated", "Preflighted", "Suspended", "Running"
COMPLETE, FAILED = "Complete", "Failed"
"""Types of conditions."""


class Reason(StrEnum):
    """Why a condition holds or does not, as far as that is up to this product.

    Other reasons are a kubelet's or scheduler's word for why a pod waits, and the classes of failure.
    """

    RENDERED = "Rendered"
    NOT_ASKED = "NotAsked"
    CHECKING = "Checking"
    PASSED = "Passed"
    NOT_MADE = "FailedCreate"
    CREATING = "Creating"
    NO_PODS = "NoPods"
    QUEUED = "Queued"
    STARTING = "Starting"
    TRAINING = "Training"
    RETRYING = "Retrying"
    SUSPENDED = "Suspended"
    RESUMED = "Resumed"
    ENDED = "Ended"
    SUCCEEDED = "Succeeded"


Telling = Literal["plain", "warning", "none"]

TOLD: Mapping[str, Telling] = {
    Reason.RENDERED: "none",
    Reason.NOT_ASKED: "none",
    Reason.CHECKING: "none",
    Reason.PASSED: "none",  # what follows at once says more
    Reason.NOT_MADE: "warning",
    Reason.CREATING: "none",
    Reason.NO_PODS: "none",  # so it is for a moment in every attempt
    Reason.QUEUED: "plain",
    Reason.STARTING: "none",
    Reason.TRAINING: "none",
    Reason.RETRYING: "none",  # the failure before it has an event of its own
    Reason.SUSPENDED: "plain",
    Reason.RESUMED: "plain",
    Reason.ENDED: "none",
    Reason.SUCCEEDED: "plain",
}


def telling(reason: str) -> Telling:
    """By what event users are told of a reason that is new; of those that are not this product's, by a warning."""
    return TOLD.get(reason, "warning")


def holds(status: TrainJobStatus | None, *kinds: str) -> bool:
    """Whether a status says that one of these conditions holds."""
    return any(c.type in kinds and c.status == "True" for c in (status.conditions if status else ()))


def is_over(status: TrainJobStatus | None) -> bool:
    """Whether a status says that its job is over."""
    return holds(status, COMPLETE, FAILED)
