"""The words of a status: which conditions a job has, the reasons for them, and how users are told of each reason.

What each word means stands beside it; docs/reference/signals.md is generated from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from mmaction_operator.api.status import Phase, TrainJobStatus

VALIDATED, PREFLIGHTED, SUSPENDED, RUNNING = "Validated", "Preflighted", "Suspended", "Running"
COMPLETE, FAILED = "Complete", "Failed"

CONDITIONS: Mapping[str, str] = {
    VALIDATED: "The config renders. False only where it does not, and then the job has failed.",
    PREFLIGHTED: "Data, storage, weights and model are as they should be, or were not to be checked.",
    SUSPENDED: "Nothing is to train for now, as `spec.suspend` says. Not there on a job that never was suspended.",
    RUNNING: "The pods of the attempt all run. Where it is False, its reason says what the attempt waits for.",
    COMPLETE: "The job is over, and its results are in storage under their manifest.",
    FAILED: "The job is over without results. Its reason is a class of failure, its message what to do.",
}
"""Types of conditions, in the order in which a job comes by them."""


PHASES: Mapping[Phase, str] = {
    "Pending": "Something is waited for: a node, an image, a Secret, a queue. The conditions say what.",
    "Validating": "The preflight checks data, storage, weights and model, without a GPU.",
    "Starting": "The pods run. They fetch videos and weights, find each other, and build the model.",
    "Running": "It trains.",
    "Testing": "The best checkpoint, or what a job that trains nothing names, is tested; results go to storage.",
    "Suspended": "Nothing is to train. Pods that did have two minutes to end.",
    "Succeeded": "Over; results are in storage.",
    "Failed": "Over without results.",
}
"""In the order of a job's way."""


class Reason(StrEnum):
    """Why a condition holds or does not, as far as that is up to this product."""

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
    ENDING = "Ending"
    RETRYING = "Retrying"
    SUSPENDED = "Suspended"
    RESUMED = "Resumed"
    ENDED = "Ended"
    SUCCEEDED = "Succeeded"


Telling = Literal["plain", "warning", "none"]


@dataclass(frozen=True)
class Meaning:
    """What a word means to who reads it.

    Attributes:
        means: what is so.
        then: what happens next, and what a user can do.
        telling: by what event users are told when it becomes so.
    """

    means: str
    then: str
    telling: Telling = "none"


REASONS: Mapping[str, Meaning] = {
    Reason.RENDERED: Meaning("the config renders", "the checks begin"),
    Reason.NOT_ASKED: Meaning("`spec.preflight` is false", "the pods are made without a check"),
    Reason.CHECKING: Meaning("a pod without a GPU checks data, storage, weights and model", "minutes at most"),
    Reason.PASSED: Meaning("data, storage, weights and model are as they should be", "the attempt begins"),
    Reason.NOT_MADE: Meaning(
        "a quota, the pod security level or a name that is taken keeps the controller from making an object",
        "mend what the message says; it is tried again every 30 seconds",
        "warning",
    ),
    Reason.CREATING: Meaning("a port is leased, and the pods are being made", "seconds"),
    Reason.NO_PODS: Meaning(
        "the Job has made no pod yet; for longer than a moment, a quota or the pod security level keeps it from that",
        "`kubectl describe job` says which",
    ),
    Reason.QUEUED: Meaning(
        "Kueue has not admitted the job, or has preempted it; or somebody suspended its Job",
        "begins, or goes on, when it is admitted; `kubectl get workloads` says what it waits for",
        "plain",
    ),
    Reason.STARTING: Meaning("the pods are being started", "as long as images take to pull"),
    Reason.TRAINING: Meaning("all pods run", "`status.progress` says how far it is"),
    Reason.ENDING: Meaning(
        "a pod has failed, and others are yet to end",
        "the next attempt waits for them, so that a job never trains twice; a node that does not come back has to be "
        "deleted (`kubectl delete node`), and its pods are then",
    ),
    Reason.RETRYING: Meaning("an attempt failed", "the next one begins 10 s later, then 20 s, up to 5 minutes"),
    Reason.SUSPENDED: Meaning("`spec.suspend` is true", "nothing trains until it is false", "plain"),
    Reason.RESUMED: Meaning("`spec.suspend` is false again", "the attempt goes on from its newest checkpoint", "plain"),
    Reason.ENDED: Meaning("the pods have ended", "see Complete or Failed"),
    Reason.SUCCEEDED: Meaning("results are in storage", "`trainjob results get NAME`", "plain"),
    "Unschedulable": Meaning(
        "no node has room for a pod",
        "begins when one has; to ask for less, submit it under another name",
        "warning",
    ),
    "ImagePullBackOff": Meaning(
        "a node cannot pull the trainer's image",
        "begins once it can: see `spec.pods.image`, `spec.pods.imagePullSecrets` and the node's way to the registry",
        "warning",
    ),
    "InvalidImageName": Meaning(
        "`spec.pods.image` is not a name that an image can have",
        "submit it under another name, with another image",
        "warning",
    ),
    "ErrImageNeverPull": Meaning(
        "the image is not on the node, and the chart's `trainer.image.pullPolicy` is Never",
        "begins once it is there",
        "warning",
    ),
    "CreateContainerConfigError": Meaning(
        "a Secret or ConfigMap is not there, most often that of `spec.storage.credentialsSecret`",
        "create it in the job's namespace; begins once it is there",
        "warning",
    ),
    "CreateContainerError": Meaning(
        "the node cannot start the container: a volume, a path, the runtime",
        "the message has the node's words",
        "warning",
    ),
}
"""Reasons other than classes of failure; the last are a scheduler's and a kubelet's word for why a pod waits."""

JOB_FAILED, ATTEMPT_FAILED, PORT_CONFLICT, NO_PORT_LEFT = "JobFailed", "AttemptFailed", "PortConflict", "NoPortLeft"
UNREADABLE = "Unreadable"

EVENTS: Mapping[str, Meaning] = {
    JOB_FAILED: Meaning("the job is over without results", "the message says why, and what to do", "warning"),
    ATTEMPT_FAILED: Meaning("an attempt failed", "another one follows, see Retrying", "warning"),
    PORT_CONFLICT: Meaning(
        "something outside the product held the leased port",
        "another attempt with another port; not counted as a failure",
        "warning",
    ),
    NO_PORT_LEFT: Meaning(
        "all ports of the chart's `ports` are leased",
        "begins when one is free; widen the range, or end jobs that nobody needs",
        "warning",
    ),
    UNREADABLE: Meaning(
        "the job was stored under another version of the resource, and this one does not accept it",
        "nothing is done for it; delete it, and apply it again with what the message says mended",
        "warning",
    ),
}
"""Reasons of events that no condition has."""


def telling(reason: str) -> Telling:
    """By what event users are told of a reason that is new; of a class of failure, by a warning."""
    return REASONS[reason].telling if reason in REASONS else "warning"


def holds(status: TrainJobStatus | None, *kinds: str) -> bool:
    """Whether a status says that one of these conditions holds."""
    return any(c.type in kinds and c.status == "True" for c in (status.conditions if status else ()))


def is_over(status: TrainJobStatus | None) -> bool:
    """Whether a status says that its job is over."""
    return holds(status, COMPLETE, FAILED)
