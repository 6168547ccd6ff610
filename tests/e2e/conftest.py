"""Tests on real nodes: they need root, and ``make e2e`` runs them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml

from mmaction_trainer.storage import Storage, open_storage
from tests.cluster import cgroups, process
from tests.cluster.api_server import ApiServer
from tests.cluster.clusters import Cluster

from .jobs import installed, put_clips, with_credentials

_numbers = count()

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


Seen = dict[str, set[str]]
"""What of clusters can be seen on this machine, by kind."""


def host() -> Seen:
    """This machine, now."""
    return {
        "processes": set(servers()),
        "mounts": lines("findmnt", "--noheadings", "--output", "TARGET,SOURCE", "--list"),
        "links": lines("ip", "-brief", "link"),
        "routes": lines("ip", "route"),
        "namespaces": lines("lsns", "--noheadings", "--output", "NS,TYPE"),
        "cgroups": {str(path) for root in cgroups.hierarchies() for path in root.glob(f"{cgroups.PREFIX}*")},
        "rules": lines("iptables-save"),
        "settings": lines("sysctl", "net.ipv4.ip_forward", "kernel.panic", "vm.overcommit_memory"),
    }


def new_since(before: Seen) -> Seen:
    """What this machine has that it had not before, by kind."""
    now = host()
    return {kind: now[kind] - before[kind] for kind in now if now[kind] - before[kind]}


def run_by(seen: Seen) -> set[str]:
    """Names of processes."""
    return {process.split()[1] for process in seen.get("processes", ())}


def left_since(before: Seen, within: float = 5) -> Seen:
    """What stays of what is new: a moment for the kernel, and for what else goes on on this machine."""
    deadline = time.monotonic() + within
    while (left := new_since(before)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return left


def servers() -> list[str]:
    """Ids and names of the processes that a harness started, this one or another."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if process.MARK.encode() in (entry / "environ").read_bytes():
                found.append(f"{entry.name} {(entry / 'comm').read_text().strip()}")
        except OSError:
            continue
    return found


def lines(*command: str) -> set[str]:
    """A command's lines of output, without remarks and counters."""
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {line for line in done.stdout.splitlines() if not line.startswith(("#", ":"))}


@pytest.fixture
def namespace(cluster: Cluster) -> str:
    """A namespace that no other test uses, under the restricted pod security level."""
    name = f"test-{next(_numbers)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.server.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}},
    )
    wait_for(cluster.server, "create", "serviceaccount/default", name)
    return name


def wait_for(server: ApiServer, condition: str, what: str, namespace: str = "default", within: int = 120) -> None:
    """Wait until something in the cluster is as a test needs it."""
    server.kubectl("wait", f"--for={condition}", what, f"--namespace={namespace}", f"--timeout={within}s")


def a_pod(name: str, namespace: str, image: str, *command: str, **spec: Any) -> dict[str, Any]:
    """A restricted pod that runs a command once, or the image's own."""
    container: dict[str, Any] = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "Never",
        "securityContext": RESTRICTED,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    if command:
        container["command"] = list(command)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "containers": [container],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
            **spec,
        },
    }


def output_of(server: ApiServer, pod: dict[str, Any], within: int = 120) -> str:
    """Run a pod to its end; what it printed."""
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    server.apply(pod)
    wait_for(server, "jsonpath={.status.containerStatuses[0].state.terminated}", f"pod/{name}", namespace, within)
    (container,) = server.request("GET", f"/api/v1/namespaces/{namespace}/pods/{name}").body["status"][
        "containerStatuses"
    ]
    printed = logs(server, name, namespace)
    assert container["state"]["terminated"]["exitCode"] == 0, f"{container}\n{printed}"
    return printed


def logs(server: ApiServer, pod: str, namespace: str) -> str:
    """What a pod printed."""
    return server.kubectl("logs", pod, f"--namespace={namespace}")


@dataclass(frozen=True)
class Shell:
    """A user's shell: a folder, a kubeconfig whose context names the team's namespace, and S3 keys of their own."""

    folder: Path
    environment: dict[str, str]

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        """Start ``trainjob`` with these words."""
        command = [str(Path(sys.executable).with_name("trainjob")), *map(str, words)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen(command, env=self.environment, cwd=self.folder, text=True, **pipes)

    def run(self, *words: str | Path) -> str:
        """Output of ``trainjob``, which succeeds."""
        return output_of_success(self.start(*words))


def output_of_success(process: subprocess.Popen[str], within: float = 60) -> str:
    """What a process printed, once it has succeeded."""
    output, _ = process.communicate(timeout=within)
    assert process.returncode == 0, output
    return output


@pytest.fixture
def shell(cluster: Cluster, namespace: str, tmp_path: Path) -> Shell:
    """A shell of a member of the team."""
    content = yaml.safe_load(cluster.server.kubeconfig.read_text())
    content["contexts"][0]["context"]["namespace"] = namespace
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(content))
    environment = {**os.environ, **cluster.s3.environment(), "KUBECONFIG": str(tmp_path / "kubeconfig")}
    return Shell(tmp_path, environment)


@pytest.fixture(scope="session")
def data(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data set of real clips in S3, and a bucket for results."""
    return put_clips(cluster, tmp_path_factory.mktemp("data") / "six")


@pytest.fixture
def results(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Storage]:
    """Opens results by their URI, from this machine."""
    for name, value in cluster.s3.environment().items():
        monkeypatch.setenv(name, value)
    return open_storage


@pytest.fixture(scope="module")
def operator(cluster: Cluster, images: dict[str, str]) -> Iterator[str]:
    """The operator, installed from its chart under the restricted pod security level; its namespace."""
    with installed(cluster, images) as namespace:
        yield namespace


@pytest.fixture
def team(cluster: Cluster, operator: str, namespace: str) -> str:
    """A team's namespace, with its S3 credentials, under the restricted pod security level."""
    return with_credentials(cluster, namespace)
