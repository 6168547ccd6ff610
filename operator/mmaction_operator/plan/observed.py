"""What is seen of a job's attempts in the cluster, reduced to what decisions are made of."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import ValidationError

from mmaction_trainer.contract.result import Result

from . import names

Object = Mapping[str, Any]
"""A Kubernetes object as JSON."""

State = Literal["Active", "Complete", "Failed"]
"""Where an attempt is."""

BEFORE_START = {
    "ErrImagePull": "ImagePullBackOff",
    "ImagePullBackOff": "ImagePullBackOff",
    "InvalidImageName": "InvalidImageName",
    "ErrImageNeverPull": "ErrImageNeverPull",
    "CreateContainerConfigError": "CreateContainerConfigError",
    "CreateContainerError": "CreateContainerError",
    "RunContainerError": "CreateContainerError",
}
"""Reasons for which a kubelet waits and which a user can mend while it does, and what they are called here: a kubelet
goes to and fro between some of them."""
LOST = frozenset({"ContainerStatusUnknown", "Unknown"})
"""Reasons for which a container is over whose end nobody saw: a kubelet's, and containerd's after a loss of power."""


LONGEST_MESSAGE = 400
"""Characters of what Kubernetes says of a pod's end."""


@dataclass(frozen=True)
class PodSeen:
    """A pod of an attempt.

    Attributes:
        index: which node of the job it is, from 0.
        waiting: why it does not run: ``Unschedulable``, or what its kubelet says; with the message.
        exit_code: how its container ended; None while it has not.
        reason: why it ended, in Kubernetes' words: OOMKilled, Evicted, NodeLost ...
        result: what the launcher left as its last words.
        message: what Kubernetes or the container's runtime said of its end, where the launcher said nothing.
    """

    uid: str
    name: str
    index: int
    phase: str
    node: str | None = None
    waiting: tuple[str, str] | None = None
    exit_code: int | None = None
    reason: str = ""
    result: Result | None = None
    message: str = ""

    @property
    def runs(self) -> bool:
        """Whether its container runs now."""
        return self.phase == "Running" and self.exit_code is None

    @property
    def has_ended(self) -> bool:
        """Whether it will say no more."""
        return self.phase in ("Succeeded", "Failed")


@dataclass(frozen=True)
class AttemptSeen:
    """An attempt's Job, by its name, and its pods; of a preflight, the pod that checks.

    Attributes:
        uid: the Job's, or the pod's.
        state: it is over once its Job says so and no pod of it is seen to run. One that is being removed has not
            failed: it is made again.
        reason: why the Job ended, in Kubernetes' words.
        leaving: whether it is being removed.
        queue: what holds it back: the name of Kueue's queue, or nothing that is known; None if nothing does.
        unheard: of how many pods the end is not seen though the Job's is: they are gone, or it is yet to be seen.
    """

    name: str
    attempt: int
    port: int
    state: State
    ended: datetime | None
    pods: tuple[PodSeen, ...]
    unheard: int = 0
    uid: str = ""
    began: datetime | None = None
    reason: str = ""
    leaving: bool = False
    queue: str | None = None

    @property
    def first(self) -> PodSeen | None:
        """The pod of the first node, whose launcher speaks for the attempt."""
        return next((pod for pod in self.pods if pod.index == 0), None)

    @property
    def untold(self) -> bool:
        """Whether it succeeded and its first node's pod, which would say with what, is gone: nobody heard of it."""
        return self.state == "Complete" and self.first is None


def attempts_of(jobs: Iterable[Object], pods: Iterable[Object]) -> tuple[AttemptSeen, ...]:
    """The attempts that exist, in their order; the preflight is number 0."""
    by_job: dict[str, list[PodSeen]] = {}
    seen = []
    for pod in pods:
        if pod["metadata"]["labels"][names.ATTEMPT] == str(names.PREFLIGHT):
            seen.append(preflight_seen(pod))
            continue
        owner = next((o["uid"] for o in pod["metadata"].get("ownerReferences", ()) if o.get("controller")), "")
        by_job.setdefault(owner, []).append(pod_seen(pod))
    seen += [attempt_seen(job, by_job.get(job["metadata"]["uid"], [])) for job in jobs]
    return tuple(sorted(seen, key=lambda attempt: attempt.attempt))


def preflight_seen(pod: Object) -> AttemptSeen:
    """The preflight, which is one pod and no Job: it asks for little and is made again where it is lost."""
    seen = pod_seen(pod)
    states: dict[str, State] = {"Succeeded": "Complete", "Failed": "Failed"}
    return AttemptSeen(seen.name, names.PREFLIGHT, 0, states.get(seen.phase, "Active"), None, (seen,), uid=seen.uid)


def attempt_seen(job: Object, pods: Iterable[PodSeen]) -> AttemptSeen:
    """One attempt."""
    metadata, status = job["metadata"], job.get("status", {})
    leaving = "deletionTimestamp" in metadata
    conditions = {c["type"]: c for c in status.get("conditions", ()) if c["status"] == "True"}
    if leaving:
        conditions.pop("Failed", None)
    said: State = "Complete" if "Complete" in conditions else "Failed" if "Failed" in conditions else "Active"
    ended, began = conditions.get(said, {}).get("lastTransitionTime"), status.get("startTime")
    pods = tuple(sorted(pods, key=lambda pod: (pod.index, pod.name)))
    return AttemptSeen(
        name=metadata["name"],
        attempt=int(metadata["labels"][names.ATTEMPT]),
        port=int(metadata.get("annotations", {}).get(names.PORT, 0)),
        state=said if all(pod.has_ended for pod in pods) else "Active",
        ended=datetime.fromisoformat(ended) if ended else None,
        pods=pods,
        unheard=job["spec"]["completions"] - sum(pod.has_ended for pod in pods) if ended else 0,
        uid=metadata["uid"],
        began=datetime.fromisoformat(began) if began else None,
        reason=conditions.get(said, {}).get("reason", ""),
        leaving=leaving,
        queue=metadata["labels"].get(names.QUEUE, "") if job["spec"].get("suspend") else None,
    )


def pod_seen(pod: Object) -> PodSeen:
    """One pod; of its containers, the only one."""
    metadata, status = pod["metadata"], pod.get("status", {})
    container: Object = next(iter(status.get("containerStatuses", ())), {})
    terminated = container.get("state", {}).get("terminated") or {}
    result = result_in(terminated.get("message", ""))
    return PodSeen(
        uid=metadata["uid"],
        name=metadata["name"],
        index=int(metadata.get("annotations", {}).get(names.INDEX, 0)),
        phase=status.get("phase", "Pending"),
        node=pod.get("spec", {}).get("nodeName"),
        waiting=None if terminated else waiting_of(status, container),
        exit_code=terminated.get("exitCode"),
        reason=reason_of(status, terminated),
        result=result,
        message="" if result else str(terminated.get("message") or status.get("message", ""))[:LONGEST_MESSAGE],
    )


def waiting_of(status: Object, container: Object) -> tuple[str, str] | None:
    """Why a pod does not run yet, where somebody has to know."""
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return "Unschedulable", condition.get("message", "")
    waiting = container.get("state", {}).get("waiting") or {}
    if reason := BEFORE_START.get(waiting.get("reason", "")):
        return reason, waiting.get("message", "")
    return None


def reason_of(status: Object, terminated: Object) -> str:
    """Why a pod ended, if not by its own exit: the pod's own reason says more than that its container is lost."""
    if terminated.get("reason") == "OOMKilled":
        return "OOMKilled"
    disrupted = (c for c in status.get("conditions", ()) if c["type"] == "DisruptionTarget" and c["status"] == "True")
    of_pod = status.get("reason") or next((c.get("reason", "") for c in disrupted), "")
    return str(of_pod or (terminated["reason"] if terminated.get("reason") in LOST else ""))


def result_in(message: str) -> Result | None:
    """The result in a pod's termination message; None where it holds none."""
    with contextlib.suppress(ValidationError):
        return Result.model_validate_json(message)
    return None
