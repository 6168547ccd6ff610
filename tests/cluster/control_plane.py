"""Scheduler and controllers beside the API server, and KWOK's nodes, on which pods run as far as the API can tell."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from .api_server import ALONE, ApiServer, serve
from .process import Process, running
from .programs import program, source_of
from .slot import Slot, hold_slot

KWOK_ANNOTATION = {"kwok.x-k8s.io/node": "fake"}
STAGES = ("node/fast/node-initialize", "node/heartbeat-with-lease/node-heartbeat-with-lease")
POD_STAGES = ("pod/fast/pod-ready", "pod/fast/pod-delete")
"""What KWOK does to nodes and pods, from its own repository. Pods run until something ends them."""
POD_COMPLETE = "pod/fast/pod-complete"
"""Ends the pods of Jobs, with success, as soon as they run; see ``pods_complete``."""
EXIT = "exit"
"""Label of pods that fail as soon as they run: their exit code."""


class ControlPlane:
    """An API server whose jobs become pods, and whose pods find nodes."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server

    def add_fake_nodes(self, count: int, *, gpus: int = 8, cpus: int = 64, memory: str = "512Gi") -> list[str]:
        """Nodes that KWOK plays, with GPUs as the device plugin announces them; their names."""
        names = [f"fake-{number}" for number in range(count)]
        resources = {"cpu": str(cpus), "memory": memory, "pods": "250", "nvidia.com/gpu": str(gpus)}
        self.server.apply(*(fake_node(name, resources) for name in names))
        return names


def fake_node(name: str, resources: dict[str, str]) -> dict[str, Any]:
    """A node that KWOK plays."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": KWOK_ANNOTATION,
            "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"},
        },
        "status": {"allocatable": resources, "capacity": resources},
    }


@contextmanager
def start_control_plane(
    *stages: str, api_server: Sequence[str | Path] = (), way: Callable[[str], str] = str
) -> Iterator[ControlPlane]:
    """A control plane with KWOK and no real node; no root.

    Args:
        stages: more that KWOK does to pods, such as ``pods_complete``.
        api_server: more options of the API server.
        way: from the API server to etcd, see ``serve``.
    """
    with (
        hold_slot() as slot,
        serve(slot, slot.loopback, (*ALONE[1:], *api_server), way) as server,
        control(server, slot),
        running("kwok", kwok(server, (*STAGES, *POD_STAGES, *stages)), slot.folder),
    ):
        yield ControlPlane(server)


@contextmanager
def pods_complete(labels: dict[str, str]) -> Iterator[str]:
    """A stage that ends the pods with these labels, with success, as soon as they run: KWOK's own for pods of Jobs."""
    with written(ending({"matchLabels": labels}, code="0")) as path:
        yield path


@contextmanager
def pods_end_when_told() -> Iterator[str]:
    """Stages that end the pods that have the label ``EXIT``, with that code, as soon as they run; and those that are
    being deleted, as a kubelet does that tells them to stop: KWOK alone waits for the end of their grace period.
    """
    labelled = ending(having(f".metadata.labels.{EXIT}"), code=f"{{{{ $root.metadata.labels.{EXIT} }}}}")
    stopped = ending(having(".metadata.deletionTimestamp"), code="143")
    stopped["metadata"]["name"] = "pod-stopped"
    stopped["spec"]["weight"] = 1  # before KWOK's own pod-delete, which has none: of equals KWOK draws one by lot
    rules = stopped["spec"]["selector"]["matchExpressions"]
    rules.remove({"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"})
    with written(labelled, stopped) as path:
        yield path


def having(key: str) -> dict[str, Any]:
    """A stage's selector of what has something."""
    return {"matchExpressions": [{"key": key, "operator": "Exists"}]}


def ending(which: dict[str, Any], code: str) -> dict[str, Any]:
    """KWOK's own stage that completes pods of Jobs, for other pods, and with another exit code."""
    stage: dict[str, Any] = yaml.safe_load((stages_of_kwok() / f"{POD_COMPLETE}.yaml").read_text())
    selector = stage["spec"]["selector"]
    kept = [rule for rule in selector["matchExpressions"] if "ownerReferences" not in rule["key"]]
    stage["spec"]["selector"] = {**which, "matchExpressions": [*which.get("matchExpressions", ()), *kept]}
    phase = "Succeeded" if code == "0" else "Failed"
    for text, other in {"exitCode: 0": f"exitCode: {code}", "phase: Succeeded": f"phase: {phase}"}.items():
        template = stage["spec"]["next"]["statusTemplate"]
        assert text in template
        stage["spec"]["next"]["statusTemplate"] = template.replace(text, other)
    return stage


@contextmanager
def written(*stages: dict[str, Any]) -> Iterator[str]:
    """Stages as a file, which is named as KWOK's own are: without its ending."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "stages.yaml").write_text(yaml.safe_dump_all(stages))
        yield f"{folder}/stages"


def stages_of_kwok() -> Path:
    """The folder of KWOK's stages."""
    return source_of("sigs.k8s.io/kwok") / "kustomize" / "stage"


@contextmanager
def control(server: ApiServer, slot: Slot) -> Iterator[None]:
    """Scheduler and controllers."""
    accounts = (
        f"--service-account-private-key-file={server.service_account_key}",
        f"--root-ca-file={server.authority.certificate}",
        "--use-service-account-credentials",
        "--concurrent-job-syncs=20",
    )
    manager = component(server, slot, "kube-controller-manager", *accounts)
    scheduler = component(server, slot, "kube-scheduler")
    with (
        running("kube-controller-manager", manager, slot.folder) as controllers,
        running("kube-scheduler", scheduler, slot.folder) as scheduling,
    ):
        for process in (controllers, scheduling):
            process.wait_until(partial(serves, process))
        wait_for_default_account(server, controllers)
        yield


def serves(process: Process) -> bool:
    """Whether a component answers: from then on it works."""
    return "Serving securely" in process.log.read_text()


def component(server: ApiServer, slot: Slot, name: str, *options: str) -> list[str | Path]:
    """Command line of a component that acts as the user that Kubernetes' own roles are for.

    At the stock 20 requests a second, making the controllers' own accounts takes most of the start.
    """
    user = server.authority.issue(name, user=f"system:{name}")
    return [
        program(name),
        f"--kubeconfig={server.kubeconfig_for(name, user)}",
        f"--bind-address={slot.loopback}",
        f"--cert-dir={slot.folder / name}",
        "--leader-elect=false",
        *("--kube-api-qps=1000", "--kube-api-burst=2000"),
        *options,
    ]


def kwok(server: ApiServer, stages: Sequence[str]) -> list[str | Path]:
    """KWOK's command line: it plays the nodes that carry its annotation, and no other."""
    user = server.authority.issue("kwok", user="kwok", group="system:masters")
    config = server.kubeconfig_for("kwok", user)
    source = stages_of_kwok()
    return [
        program("kwok"),
        f"--kubeconfig={config}",
        "--manage-all-nodes=false",
        f"--manage-nodes-with-annotation-selector={'='.join(*KWOK_ANNOTATION.items())}",
        *(f"--config={source / stage}.yaml" for stage in stages),
        "--node-lease-duration-seconds=40",
    ]


def wait_for_default_account(server: ApiServer, process: Process) -> None:
    """Wait until pods can be made in the default namespace: they need its service account."""
    path = "/api/v1/namespaces/default/serviceaccounts/default"
    process.wait_until(lambda: server.request("GET", path).status == 200)
