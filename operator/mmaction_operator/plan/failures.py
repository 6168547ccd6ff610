"""Why an attempt failed, and whether another one may help."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from mmaction_trainer.contract import errors
from mmaction_trainer.contract.errors import failure_class

from .observed import AttemptSeen, PodSeen

Retry = Literal["never", "charged", "free"]
"""Whether an attempt is made again, and whether that counts towards the job's backoff limit."""

RETRY: dict[str, Retry] = {
    errors.ConfigFailure.name: "never",
    errors.DataFailure.name: "never",
    errors.MemoryFailure.name: "never",
    errors.DiskFailure.name: "never",
    errors.PortFailure.name: "free",
    errors.Interrupted.name: "free",
    "Preempted": "free",
    "Deadline": "never",
}
"""By class; what is not named here is ``charged``."""
OF_A_CLUSTER: dict[str, tuple[str, str]] = {
    "Preempted": (
        "A pod was taken away: a drained or lost node, an eviction, a pod of more importance, or somebody deleted it.",
        "Nothing.",
    ),
    "Deadline": (
        "It trained for as long as `spec.activeDeadlineSeconds` allows.",
        "Submit it under another name with more time, or fewer epochs.",
    ),
}
"""Classes that no trainer can tell of itself: what they mean, and what to do."""
MOST_FREE = 10
"""How many attempts are made again without being counted: something that always takes the port is no accident."""

PREEMPTED = frozenset(
    {
        "Preempted",
        "PreemptionByScheduler",
        "DeletionByTaintManager",
        "EvictionByEvictionAPI",
        "DeletionByPodGC",
        "TerminationByKubelet",
        "NodeLost",
        "NodeShutdown",
        "Evicted",
    }
)
"""Reasons for which Kubernetes takes a pod away, whatever runs in it."""


@dataclass(frozen=True)
class FailureSeen:
    """Why an attempt failed.

    Attributes:
        name: the failure's class.
        message: what a user is told.
        pod: the pod that failed first, as far as can be told.
    """

    name: str
    message: str
    pod: str = ""

    @property
    def retry(self) -> Retry:
        """Whether another attempt may help."""
        return RETRY.get(self.name, "charged")


BY_POLICY = "PodFailurePolicy"
"""Why a Job has failed of which a pod was taken away; see ``objects.TAKEN_AWAY``."""
TAKEN = FailureSeen("Preempted", "a pod was told to stop, by Kubernetes or by somebody who deleted it")
DEADLINE = FailureSeen("Deadline", "trained for as long as spec.activeDeadlineSeconds allows")


def failure_of(attempt: AttemptSeen) -> FailureSeen:
    """Why a failed attempt failed: of its pods, the one that has the most to say.

    When one node fails its peers lose it, and end as Collective: any other class comes before that.
    """
    if attempt.reason == "DeadlineExceeded":
        return DEADLINE
    failures = [failure_of_pod(pod) for pod in attempt.pods if has_failed(pod)]
    if attempt.reason == BY_POLICY:
        return next((failure for failure in failures if failure.name == TAKEN.name), TAKEN)
    if not failures:
        return FailureSeen("Unknown", "its pods are gone, and with them what they had to say")
    return min(failures, key=weight)


def has_failed(pod: PodSeen) -> bool:
    """Whether a pod ended without success."""
    return pod.exit_code not in (0, None) or pod.phase == "Failed" or bool(pod.reason)


def weight(failure: FailureSeen) -> int:
    """How little a failure explains."""
    return {"Unknown": 3, errors.CollectiveFailure.name: 2, errors.Interrupted.name: 1}.get(failure.name, 0)


def failure_of_pod(pod: PodSeen) -> FailureSeen:
    """Why a pod failed."""
    if pod.reason == "OOMKilled":
        return FailureSeen(
            errors.MemoryFailure.name,
            "killed as it needs more memory than it may have; raise spec.resources.memoryPerNode, or lower "
            "spec.training.batchSizePerGPU or spec.training.workers",
            pod.name,
        )
    if pod.reason in PREEMPTED:
        return FailureSeen("Preempted", f"Kubernetes took the pod away ({pod.reason})", pod.name)
    if pod.result and pod.result.error:
        return FailureSeen(pod.result.error.failure, pod.result.error.message, pod.name)
    code = pod.exit_code
    kind = failure_class(code) if code else errors.Failure
    said = f"exit code {code}" if code is not None else (pod.reason or "no exit code")
    return FailureSeen(kind.name, f"{said}; see the pod's log", pod.name)


def charged(failures: Iterable[FailureSeen]) -> int:
    """How many of these count towards the backoff limit."""
    return sum(failure.retry == "charged" for failure in failures)
