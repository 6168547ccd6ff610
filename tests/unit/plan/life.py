"""What happens to a job in a cluster, as a story that is told step by step: pods start and end, Jobs follow, things go.

A story waits where the controller has to act first, and goes on with what that made. So what has happened after some
steps is the same however late the controller acts; and then what it says and makes should be too.

Left out is a pod that ends, is seen to, and is gone before its Job's end: what it said is then known to whoever was
quick, as Kubernetes keeps it nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Literal

from mmaction_operator.kube import Key
from mmaction_operator.plan import names
from mmaction_trainer.contract.errors import failure_class
from mmaction_trainer.contract.result import FailureReport, Result

from .cluster import Cluster, Object

NAMESPACE = "team-a"


@dataclass(frozen=True)
class End:
    """How a pod ends.

    Args:
        counts: what an attempt that ends so means for the next.
        code: of its container; None where nothing is known of that.
        why: in Kubernetes' words, where Kubernetes ended it.
        says: whether it leaves a result.
        stays: whether it is still there once it has ended.
        policy: whether its Job says that it was taken away.
    """

    counts: Literal["success", "charged", "free", "never"]
    code: int | None = None
    why: str = ""
    says: bool = False
    stays: bool = True
    policy: bool = False


DONE = End("success", 0, says=True)
LOST_PEER = End("charged", 16, says=True)
SPOILED = End("never", 18)
"""Of the pods of a Job that is removed: whoever takes them for its successor's gives the job up."""
GONE = End("charged", stays=False)
"""Taken away with all that it had to say, by the Job controller as another pod has failed."""
TAKEN = End("free", stays=False, policy=True)
"""The same by Kubernetes: with its node, or for a pod of more importance."""


@dataclass(frozen=True)
class Attempt:
    """What happens to an attempt.

    Args:
        end: of the pod that decides.
        peer: end of the other pod, where there are two and the attempt fails.
        first: which of two pods decides.
        removed: the step before which somebody removes the Job, once: 0 no pod, 1 pods, 2 they run, 3 one has ended.
        cleared: what somebody removes once the controller has drawn its conclusion.
    """

    end: End = DONE
    peer: End = LOST_PEER
    first: int = 0
    removed: int | None = None
    cleared: Literal["", "pods", "jobs"] = ""

    def end_of(self, index: int) -> End:
        """How one of its pods ends."""
        return self.end if index == self.first or self.end == DONE else self.peer


@dataclass(frozen=True)
class Story:
    """What happens to a job. Attempts beyond those told of succeed."""

    spec: Mapping[str, Any]
    checks: tuple[End, ...] = ()
    attempts: tuple[Attempt, ...] = ()

    @property
    def nodes(self) -> int:
        """Pods of an attempt."""
        nodes: int = self.spec.get("resources", {}).get("nodes", 1)
        return nodes

    def attempt(self, number: int) -> Attempt:
        """What happens to an attempt."""
        return self.attempts[number - 1] if number <= len(self.attempts) else Attempt()


class Life:
    """A job's story as it happens.

    Attributes:
        steps: how many have happened.
        over: whether nothing more will.
        ended: when each attempt's Job did.
    """

    def __init__(self, cluster: Cluster, key: Key, story: Story) -> None:
        self.cluster, self.key, self.story = cluster, key, story
        self.steps, self.over = 0, False
        self.ended: dict[int, datetime] = {}
        self._told = self._tell()

    def step(self) -> bool:
        """Let the next thing happen; False where the controller has to act first, or nothing more will."""
        happened = next(self._told, None)
        self.over = happened is None
        self.steps += bool(happened)
        return bool(happened)

    @property
    def trainjob(self) -> Object:
        """The job as it is now."""
        return self.cluster.objects["trainjobs", self.key]

    @property
    def finished(self) -> bool:
        """Whether the controller has said so."""
        return has_ended(self.trainjob)

    def _tell(self) -> Iterator[bool]:
        """True after each thing that has happened, False while the controller has to act."""
        for end in self.story.checks:
            pod = self._named(names.PREFLIGHT)
            yield from self._until_made("pods", pod)
            yield from happening([partial(self._run, pod), partial(self._end, pod, end)])
        number = 1
        while not self.finished:
            job = self._named(number)
            if ("jobs", job) not in self.cluster.objects:
                yield False
                continue
            yield from self._attempt(number, job)
            while not self.finished and self.trainjob.get("status", {}).get("attempt", 0) <= number:
                yield False
            yield from happening(self._clearing(number, job))
            number += 1

    def _named(self, attempt: int) -> Key:
        return Key(NAMESPACE, names.attempt_name(self.key.name, attempt))

    def _until_made(self, kind: str, key: Key) -> Iterator[bool]:
        while "status" in self.cluster.objects.get((kind, key), {"status": {}}):
            yield False

    def _attempt(self, number: int, job: Key) -> Iterator[bool]:
        """An attempt from its Job to that Job's end; told from the begin where somebody removed it."""
        removed = self.story.attempt(number).removed
        if removed is not None:
            vain = self._steps(number, job, Attempt(SPOILED))[:removed]
            yield from happening([*vain, partial(self.cluster.remove, "jobs", job)])
            yield from self._until_made("jobs", job)
        yield from happening(self._steps(number, job, self.story.attempt(number)))

    def _steps(self, number: int, job: Key, told: Attempt) -> list[Callable[[], None]]:
        pods = [Key(NAMESPACE, f"{job.name}-{index}") for index in range(self.story.nodes)]
        order = sorted(range(len(pods)), key=lambda index: index != told.first)
        return [
            partial(self._begin, job, pods),
            partial(self._run, *pods),
            *(partial(self._end, pods[index], told.end_of(index)) for index in order),
            partial(self._over, number, job),
        ]

    def _begin(self, job: Key, pods: list[Key]) -> None:
        owner = self.cluster.objects["jobs", job]["metadata"]
        for index, pod in enumerate(pods):
            metadata = {
                "name": pod.name,
                "namespace": pod.namespace,
                "labels": owner["labels"],
                "annotations": {names.INDEX: str(index)},
                "ownerReferences": [{"kind": "Job", "name": job.name, "uid": owner["uid"], "controller": True}],
            }
            self.cluster.put("pods", {"metadata": metadata, "spec": {}, "status": {"phase": "Pending"}})

    def _run(self, *pods: Key) -> None:
        for pod in pods:
            status = {"phase": "Running", "containerStatuses": [{"state": {"running": {}}}]}
            self.cluster.change("pods", pod, status=status, spec={"nodeName": f"node-of-{pod.name}"})

    def _end(self, pod: Key, end: End) -> None:
        if not end.stays:
            self.cluster.remove("pods", pod)
            return
        status: Object = {"phase": "Succeeded" if end.counts == "success" else "Failed"}
        if end.code is not None:
            ended = {"exitCode": end.code, "message": last_words(end) if end.says else "", "reason": end.why}
            status["containerStatuses"] = [{"state": {"terminated": ended}}]
        if end.why != "OOMKilled":  # that is the container's
            status["reason"] = end.why
        self.cluster.change("pods", pod, status=status)

    def _over(self, number: int, job: Key) -> None:
        kind = "Complete" if self.story.attempt(number).end == DONE else "Failed"
        self.ended[number] = self.cluster.now
        reason = "PodFailurePolicy" if self.story.attempt(number).end.policy else "BackoffLimitExceeded"
        condition = {
            "type": kind,
            "status": "True",
            "reason": reason,
            "lastTransitionTime": self.cluster.now.isoformat(),
        }
        self.cluster.change("jobs", job, status={"conditions": [condition]})

    def _clearing(self, number: int, job: Key) -> list[Callable[[], None]]:
        told = self.story.attempt(number)
        if told.cleared == "jobs":
            return [partial(self.cluster.remove, "jobs", job)]
        left = [index for index in range(self.story.nodes) if told.cleared and told.end_of(index).stays]
        return [partial(self.cluster.remove, "pods", Key(NAMESPACE, f"{job.name}-{index}")) for index in left]


def happening(steps: list[Callable[[], None]]) -> Iterator[bool]:
    """Each of some steps, when it is asked for."""
    for step in steps:
        step()
        yield True


def has_ended(item: Object) -> bool:
    """Whether a Job or TrainJob says that it is over."""
    told = item.get("status", {}).get("conditions", ())
    return any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in told)


def last_words(end: End) -> str:
    """What a launcher leaves in its pod."""
    result = Result(outcome="Succeeded", results_uri="s3://r", port=1, world_size=2)
    if end.code:
        name = failure_class(end.code).name
        error = FailureReport(failure=name, exit_code=end.code, where="somewhere", message="why")
        result = result.model_copy(update={"outcome": "Failed", "error": error})
    return result.model_dump_json()
