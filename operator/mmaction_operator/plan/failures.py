"""Why an attempt failed, and whether another one may help."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from signal import Signals
from typing import Literal

from mmaction_trainer.contract import errors
from mmaction_trainer.contract.errors import failure_class

from .observed import LOST, AttemptSeen, PodSeen

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
        "A pod was taken away: a drained or lost node, an eviction, a pod of more importance, or somebody deleted it; "
        "or its node refused it.",
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
        "Terminated",
    }
)
"""Reasons for which Kubernetes takes a pod away, whatever runs in it; ``Terminated`` is a kubelet's that shuts its node
down."""
REFUSED = frozenset(
    {
        "UnexpectedAdmissionError",
        "OutOfcpu",
        "OutOfmemory",
        "OutOfpods",
        "OutOfephemeral-storage",
        "OutOfnvidia.com/gpu",
        "NodeAffinity",
        "TopologyAffinityError",
    }
)
"""Reasons for which a kubelet refuses a pod that the scheduler gave it, before anything runs."""
OUT_OF_MEMORY = (
    "killed as it needs more memory than it may have; raise spec.resources.memoryPerNode, or lower "
    "spec.training.batchSizePerGPU or spec.training.workers"
)


@dataclass(frozen=True)
class FailureSeen:
    """Why an attempt failed.

    Attributes:
        name: the failure's class.
        message: what a user is told.
        pod: the pod that failed first, as far as can be told, and the node that it ran on.
        rank: the rank that failed first.
        last_lines: what that rank printed last; of one that hangs, where it stands.
        told: whether the launcher said so, rather than Kubernetes.
        hung: whether its ranks got nowhere, which is no consequence of another pod's failure.
        at: when it was told.
    """

    name: str
    message: str
    pod: str = ""
    node: str = ""
    rank: int | None = None
    last_lines: tuple[str, ...] = ()
    told: bool = False
    hung: bool = False
    at: datetime | None = None

    @property
    def retry(self) -> Retry:
        """Whether another attempt may help."""
        return RETRY.get(self.name, "charged")

    @property
    def who(self) -> str:
        """What failed first, such as "rank 3, pod x-1-0, node gpu-7"; empty where that is not known."""
        rank = "" if self.rank is None else f"rank {self.rank}"
        named = (("pod", self.pod), ("node", self.node))
        return ", ".join(filter(None, (rank, *(f"{kind} {name}" for kind, name in named if name))))


BY_POLICY = "PodFailurePolicy"
"""Why a Job has failed of which a pod was taken away; see ``objects.TAKEN_AWAY``."""
TAKEN = FailureSeen("Preempted", "a pod was told to stop, by Kubernetes or by somebody who deleted it")
UNTOLD = FailureSeen(
    "Preempted", "its pods succeeded, and were gone before they were asked what they left; the next attempt finds it"
)
AT_LAST = datetime.max.replace(tzinfo=UTC)
DEADLINE = FailureSeen("Deadline", "trained for as long as spec.activeDeadlineSeconds allows")


def failure_of(attempt: AttemptSeen) -> FailureSeen:
    """Why a failed attempt failed: of its pods, the one that has the most to say, and of several that one's first.

    When one node fails its peers lose it, and end as Collective: any other class comes before that.
    """
    if attempt.untold:
        return UNTOLD
    if attempt.reason == "DeadlineExceeded":
        return DEADLINE
    failures = [failure_of_pod(pod) for pod in attempt.pods if has_failed(pod)]
    if attempt.reason == BY_POLICY:
        return next((failure for failure in failures if failure.name == TAKEN.name), TAKEN)
    if not failures:
        return FailureSeen("Unknown", "its pods are gone, and with them what they had to say")
    return min(failures, key=lambda failure: (weight(failure), failure.at or AT_LAST))


def has_failed(pod: PodSeen) -> bool:
    """Whether a pod ended without success."""
    return pod.exit_code not in (0, None) or pod.phase == "Failed" or bool(pod.reason)


def weight(failure: FailureSeen) -> int:
    """How little a failure explains."""
    if failure.hung:
        return 1  # as a lost node makes the others hang as well
    if failure.name == errors.Failure.name:
        return 0 if failure.told else 4
    return {errors.CollectiveFailure.name: 3, errors.Interrupted.name: 2}.get(failure.name, 0)


def failure_of_pod(pod: PodSeen) -> FailureSeen:
    """Why a pod failed."""
    name, message = what_ended(pod)
    error = pod.result.error if pod.result else None
    if error is None or name != error.failure:
        return FailureSeen(name, message, pod.name, pod.node or "")
    return FailureSeen(
        name,
        message,
        pod.name,
        pod.node or "",
        rank=error.rank,
        last_lines=error.last_lines,
        told=True,
        hung=error.hung,
        at=error.at,
    )


def what_ended(pod: PodSeen) -> tuple[str, str]:
    """The class of a pod's failure, and what a user is told of it."""
    if pod.reason == "OOMKilled":
        return errors.MemoryFailure.name, OUT_OF_MEMORY
    if pod.reason in PREEMPTED:
        return "Preempted", f"Kubernetes took the pod away ({pod.reason})"
    if pod.reason in LOST:
        return "Preempted", f"its node lost it, as nodes do that are started again ({pod.reason})"
    if pod.result and pod.result.error:
        return pod.result.error.failure, pod.result.error.message
    if pod.reason in REFUSED:
        return "Preempted", joined(f"its node refused the pod ({pod.reason})", pod.message)
    code = pod.exit_code
    if code is None:
        return errors.Failure.name, joined(pod.reason or "no exit code", pod.message or "see the pod's log")
    said = f"exit code {code}{f' ({signal_of(code)})' if signal_of(code) else ''}"
    return failure_class(code).name, joined(said, pod.message or "see the pod's log")


def signal_of(code: int) -> str:
    """The signal that an exit code stands for, as shells tell it; empty where it does for none."""
    return next((each.name for each in Signals if each.value == code - 128), "")


def joined(*parts: str) -> str:
    """Parts of a sentence, those that are there."""
    return "; ".join(filter(None, parts))


def charged(failures: Iterable[FailureSeen]) -> int:
    """How many of these count towards the backoff limit."""
    return sum(failure.retry == "charged" for failure in failures)
