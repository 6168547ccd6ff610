"""``trainjob logs``: what the pods of a job print."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from mmaction_operator.api.status import TrainJobStatus
from mmaction_operator.plan import is_over, names
from mmaction_operator.plan.observed import pod_seen
from mmaction_operator.plan.run import results_uri
from mmaction_trainer.contract.errors import Failure
from mmaction_trainer.contract.run import LOGS, JobIdentity

from . import summary
from .connecting import ClusterFailure, Context, JobName, Kubeconfig, Namespace, connect
from .program import PROGRAM
from .status import left_behind
from .summary import Job
from .terminal import errors

if TYPE_CHECKING:
    from .cluster import Cluster

POLL = 1.0
"""Seconds between two looks for pods that have begun."""
HELD = 10_000
"""Lines held at most of what arrives faster than it is printed."""

Pods = Mapping[int, Job]
"""The pods of an attempt, by the index of their node."""


def logs(
    name: JobName,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow", "-f", help="Go on with what is printed next, in later attempts too, until it is over."
        ),
    ] = False,
    attempt: Annotated[
        int | None, typer.Option("--attempt", min=1, help="Which attempt. Default: the newest.", show_default=False)
    ] = None,
    preflight: Annotated[bool, typer.Option("--preflight", help="The pod that checked before the training.")] = False,
    node: Annotated[
        int | None, typer.Option("--node", min=0, help="Which node, from 0. Default: all.", show_default=False)
    ] = None,
    tail: Annotated[
        int | None, typer.Option("--tail", min=0, help="Only so many of the last lines.", show_default=False)
    ] = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Print the logs of a job's pods, of its newest attempt; of several nodes, each line says which."""
    if preflight and attempt:
        raise typer.BadParameter("not together with --preflight", param_hint="--attempt")
    cluster = connect(namespace, context, kubeconfig)
    job = cluster.job(name)
    nodes: int = job["spec"].get("resources", {}).get("nodes", 1)
    if node is not None and node >= nodes:
        raise typer.BadParameter(f"{node}; accepted: 0 to {nodes - 1}, as the job has {nodes}", param_hint="--node")
    chosen = Chosen(names.PREFLIGHT if preflight else attempt, node, tail)
    if not follow:
        show(Reader(cluster, job, chosen).now(), several=nodes > 1)
        return
    with left_behind(name):
        show(Reader(cluster, job, chosen).on(), several=nodes > 1)


def show(lines: Iterable[tuple[int, bytes]], *, several: bool) -> None:
    """Print lines as they are; of several nodes, behind the node's index."""
    for index, line in lines:
        text = line.decode(errors="replace")
        typer.echo(f"[node-{index}] {text}" if several else text)


@dataclass(frozen=True)
class Chosen:
    """Which logs are asked for; None for the newest attempt, all nodes, all lines."""

    attempt: int | None
    node: int | None
    tail: int | None


class Reader:
    """Reads the logs of one job."""

    def __init__(self, cluster: Cluster, job: Job, chosen: Chosen) -> None:
        self.cluster, self.job, self.chosen = cluster, job, chosen
        self.lines: queue.Queue[tuple[int, bytes] | Failure] = queue.Queue(HELD)
        self.readers: dict[str, threading.Thread] = {}

    def now(self) -> Iterator[tuple[int, bytes]]:
        """What there is, node by node.

        Raises:
            ClusterFailure: none of the pods has begun, or none is left.
        """
        pods, status = self.cluster.pods(self.job), summary.status_in(self.job)
        attempt = self.newest(status, pods) if self.chosen.attempt is None else self.chosen.attempt
        found = self.of(attempt, pods)
        if not any(map(has_begun, found.values())):
            raise nothing(self.job, status, attempt, found)
        for index, pod in sorted(found.items()):
            if not has_begun(pod):
                errors.print(f"[node-{index}] {why_not(pod)}", markup=False, soft_wrap=True)
                continue
            for line in self.cluster.log(pod["metadata"]["name"], follow=False, tail=self.chosen.tail):
                yield index, line

    def on(self) -> Iterator[tuple[int, bytes]]:
        """What there is and what comes, of all nodes as it comes, until no more will."""
        first: int | None = None
        while True:
            job = self.cluster.job(self.job["metadata"]["name"])
            status, pods = summary.status_in(job), self.cluster.pods(self.job)
            if first is None:
                first = self.newest(status, pods) if self.chosen.attempt is None else self.chosen.attempt
            self.read_new(self.following(first, pods))
            yield from self.arrived()
            if not self.reads() and (is_over(status) or self.is_past(status)):
                if not self.readers:
                    raise nothing(job, status, first, {})
                return

    def following(self, first: int, pods: Iterable[Job]) -> list[tuple[int, Job]]:
        """The pods to follow: of the attempt that was asked for, else of every one from the first."""
        pods = list(pods)
        attempts = sorted({attempt_of(pod) for pod in pods if attempt_of(pod) >= first})
        wanted = attempts if self.chosen.attempt is None else [self.chosen.attempt]
        return [found for attempt in wanted for found in sorted(self.of(attempt, pods).items())]

    def is_past(self, status: TrainJobStatus) -> bool:
        """Whether the attempt that was asked for will print no more, as the job has gone on."""
        return self.chosen.attempt is not None and (status.attempt or names.PREFLIGHT) > self.chosen.attempt

    def read_new(self, pods: Iterable[tuple[int, Job]]) -> None:
        """Begin to read the pods that have begun and are not read yet."""
        for index, pod in pods:
            name = pod["metadata"]["name"]
            if name not in self.readers and has_begun(pod):
                self.readers[name] = threading.Thread(target=self.read, args=(index, name), daemon=True)
                self.readers[name].start()

    def read(self, index: int, pod: str) -> None:
        """Read a pod's log to its end."""
        try:
            for line in self.cluster.log(pod, follow=True, tail=self.chosen.tail):
                self.lines.put((index, line))
        except Failure as failure:
            self.lines.put(failure)

    def reads(self) -> bool:
        """Whether more may come of pods that are read."""
        return any(thread.is_alive() for thread in self.readers.values()) or not self.lines.empty()

    def arrived(self) -> Iterator[tuple[int, bytes]]:
        """What arrives until it is time to look for pods again."""
        until = time.monotonic() + POLL
        while (left := until - time.monotonic()) > 0:
            try:
                line = self.lines.get(timeout=left)
            except queue.Empty:
                return
            if isinstance(line, Failure):
                raise line
            yield line

    def newest(self, status: TrainJobStatus, pods: Iterable[Job]) -> int:
        """The newest attempt; the preflight where there was none yet."""
        return max(status.attempt or names.PREFLIGHT, *map(attempt_of, pods), names.PREFLIGHT)

    def of(self, attempt: int, pods: Iterable[Job]) -> Pods:
        """The pods of an attempt on the nodes that are asked for."""
        seen = sorted((pod for pod in pods if attempt_of(pod) == attempt), key=made_at)
        by_index = {pod_seen(pod).index: pod for pod in seen}
        return {index: pod for index, pod in by_index.items() if self.chosen.node in (None, index)}


def attempt_of(pod: Job) -> int:
    """The attempt that a pod belongs to."""
    return int(pod["metadata"]["labels"][names.ATTEMPT])


def made_at(pod: Job) -> str:
    """When a pod was made; of two for one node, the later one counts."""
    return str(pod["metadata"]["creationTimestamp"])


def has_begun(pod: Job) -> bool:
    """Whether a pod's container has begun, and so may have printed something."""
    states = [container.get("state", {}) for container in pod.get("status", {}).get("containerStatuses", ())]
    return any("running" in state or "terminated" in state for state in states)


def why_not(pod: Job) -> str:
    """Why a pod has not begun."""
    seen = pod_seen(pod)
    reason = ": ".join(filter(None, seen.waiting)) if seen.waiting else seen.reason or seen.phase
    return f"pod {seen.name} has not begun ({reason})"


def nothing(job: Job, status: TrainJobStatus, attempt: int, pods: Pods) -> ClusterFailure:
    """That there is no log, and where to look instead."""
    metadata = job["metadata"]
    name, asked = metadata["name"], "preflight" if attempt == names.PREFLIGHT else f"attempt {attempt}"
    where = f"TrainJob {metadata['namespace']}/{name}"
    if pods:
        return ClusterFailure(where, f"{asked}: " + "; ".join(map(why_not, pods.values())), do="-f waits for it.")
    if attempt == names.PREFLIGHT and job["spec"].get("preflight") is False:
        return ClusterFailure(where, "it has no preflight, as spec.preflight is false")
    if is_over(status) or attempt < (status.attempt or 0):
        return ClusterFailure(where, f"no pod of {asked} is left", do=f"{where_logs_are(job, status)}.")
    waiting = summary.waits_for(status)
    reason = f" ({waiting.reason}: {waiting.message})" if waiting else ""
    return ClusterFailure(where, f"{asked} has no pod yet{reason}", do="-f waits for it.")


def where_logs_are(job: Job, status: TrainJobStatus) -> str:
    """Where what the pods printed lies once they are gone."""
    metadata = job["metadata"]
    if status.results:
        return f"Its results hold the logs, in {LOGS}/: `{PROGRAM} results get {metadata['name']}`"
    identity = JobIdentity(namespace=metadata["namespace"], name=metadata["name"], uid=metadata["uid"])
    return f"What was uploaded of them lies in {results_uri(job['spec']['storage']['uri'], identity)}/{LOGS}"
