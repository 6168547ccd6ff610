"""Where it happens: the cluster, the way to its storage, and what there is in it now, objects and processes."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from mmaction_operator.plan import names
from tests.cluster import cgroups
from tests.cluster.clusters import Cluster
from tests.cluster.fault_proxy import Link

Object = dict[str, Any]
Part = Literal["launcher", "rank", "controller"]

KINDS = {
    "trainjobs": "/apis/mmaction.dev/v1alpha1",
    "jobs": "/apis/batch/v1",
    "pods": "/api/v1",
    "configmaps": "/api/v1",
    "services": "/api/v1",
}
"""What a TrainJob may have in its namespace, itself among them, and the API that has it."""
UNANSWERED = (OSError, http.client.HTTPException)
POD = re.compile(r"pod([0-9a-f]{8}-[0-9a-f-]{27})")


@dataclass(frozen=True)
class Seen:
    """A process of the product: which part of it, and the pod that it runs in, by its uid."""

    pid: int
    part: Part
    pod: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Target:
    """A process of a training, and whose it is."""

    process: Seen
    pod: Object

    @property
    def job(self) -> str:
        """The TrainJob's name."""
        return str(self.pod["metadata"]["labels"][names.JOB])

    @property
    def uid(self) -> str:
        """The TrainJob's."""
        return str(self.pod["metadata"]["labels"][names.UID])

    @property
    def attempt(self) -> int:
        """Which of the TrainJob's."""
        return int(self.pod["metadata"]["labels"][names.ATTEMPT])

    def __str__(self) -> str:
        where = f"{self.pod['metadata']['name']} on {self.pod['spec'].get('nodeName')}"
        return f"{self.process.part} {self.process.pid} of attempt {self.attempt} of {self.job}, in {where}"


class Unanswered(Exception):
    """The API server did not answer."""


@dataclass(frozen=True)
class Scene:
    """The cluster; ``storage`` is the way by which trainers reach S3."""

    cluster: Cluster
    storage: Link
    namespace: str
    system: str

    def ask(self, method: str, path: str, body: Object | None = None, **headers: str) -> Object:
        """One request as administrator, again for a minute where nobody answers; ``{}`` for what is not there.

        Raises:
            RuntimeError: it was refused.
        """
        deadline = time.monotonic() + 60
        while True:
            try:
                answer = self.cluster.server.request(method, path, body, **headers)
            except UNANSWERED:
                if time.monotonic() > deadline:
                    raise
            else:
                if answer.status < 300:
                    return answer.body
                if answer.status == 404:
                    return {}
                if answer.status not in (429, 500, 503) or time.monotonic() > deadline:
                    raise RuntimeError(f"{method} {path}: {answer.status} {answer.body.get('message')}")
            time.sleep(0.5)

    def path(self, kind: str, name: str = "", namespace: str = "") -> str:
        """Path of an object, or of all of its kind."""
        return f"{KINDS[kind]}/namespaces/{namespace or self.namespace}/{kind}/{name}".rstrip("/")

    def found(self, kind: str, namespace: str = "") -> list[Object]:
        """Objects of a kind, by their names; of those that jobs have, what is a TrainJob's."""
        items: list[Object] = self.ask("GET", self.path(kind, namespace=namespace)).get("items", [])
        mine = [item for item in items if namespace or kind == "trainjobs" or names.UID in labels_of(item)]
        return sorted(mine, key=lambda item: str(item["metadata"]["name"]))

    @cached_property
    def _cgroup(self) -> str:
        return f"/{cgroups.PREFIX}{self.cluster.server.folder.name}-"

    def processes(self) -> list[Seen]:
        """Processes of the product on the cluster's nodes."""
        return sorted(self._processes(), key=lambda each: each.pid)

    def _processes(self) -> Iterator[Seen]:
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = tuple((entry / "cmdline").read_text(errors="replace").split("\0"))
                part = part_of(words)
                group = (entry / "cgroup").read_text() if part else ""
            except OSError:
                continue
            if part and self._cgroup in group and (pod := POD.search(group)):
                yield Seen(int(entry.name), part, pod[1], words)

    def targets(self, part: Part) -> list[Target]:
        """Processes of trainings, by job and attempt."""
        pods = {pod["metadata"]["uid"]: pod for pod in self.found("pods")}
        found = [Target(seen, pods[seen.pod]) for seen in self.processes() if seen.part == part and seen.pod in pods]
        return sorted(found, key=lambda each: (each.job, each.attempt, each.pod["metadata"]["name"], each.process.pid))


def labels_of(item: Object) -> dict[str, str]:
    """An object's labels."""
    labels: dict[str, str] = item["metadata"].get("labels", {})
    return labels


def part_of(words: tuple[str, ...]) -> Part | None:
    """Which part of the product a command line starts."""
    programs = {Path(word).name for word in words[:3]}
    if "mmaction-controller" in programs:
        return "controller"
    if "mmaction-trainer" in programs:
        return "launcher"
    if "mmaction_trainer.runtime.worker" in words and "torch.distributed.run" not in words:
        return "rank"
    return None
