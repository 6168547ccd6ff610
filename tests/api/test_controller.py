"""The controller against a real API server, scheduler and Job controller; KWOK plays nodes, and pods end at once."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.api_server import ApiServer
from tests.cluster.control_plane import POD_COMPLETE, ControlPlane, start_control_plane
from tests.trainjob_cases import changed

from .conftest import CRD, jobs

ROOT = Path(__file__).parents[2]
KINDS = {"jobs": "/apis/batch/v1", "configmaps": "/api/v1", "pods": "/api/v1"}

_numbers = itertools.count()


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """A control plane that serves TrainJobs, whose pods succeed as soon as they run."""
    with start_control_plane(POD_COMPLETE) as plane:
        plane.server.kubectl("apply", "--server-side", "-f", CRD)
        plane.server.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", CRD)
        plane.add_fake_nodes(4)
        yield plane


@pytest.fixture
def namespace(plane: ControlPlane) -> str:
    name = f"team-{next(_numbers)}"
    plane.server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    wait_until(lambda: plane.server.request("GET", account).status == 200)
    return name


def start_controller(server: ApiServer, log: Path) -> subprocess.Popen[bytes]:
    """The controller as a process, reaching the API server by a kubeconfig; it has begun to work."""
    words = [sys.executable, "-m", "mmaction_operator.controller.main", "--trainer-image", "trainer:v1", "--port", "0"]
    environment = {"KUBECONFIG": str(server.kubeconfig), "PATH": "/usr/bin:/bin"}
    with log.open("wb") as output:
        process = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=output, stderr=output)
    wait_until(lambda: "answering HTTP" in log.read_text())
    return process


@contextmanager
def a_controller(server: ApiServer, log: Path) -> Iterator[None]:
    """A controller for as long as the body runs, ended in order."""
    process = start_controller(server, log)
    try:
        yield
    finally:
        process.terminate()
        assert process.wait(30) == 0, log.read_text()[-2000:]


def wait_until(condition: Any, within: float = 60) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def apply(server: ApiServer, namespace: str, name: str, **spec: Any) -> None:
    manifest = changed({f"spec.{key}": value for key, value in spec.items()})
    manifest["metadata"] |= {"name": name, "namespace": namespace}
    server.apply(manifest)


def statuses(server: ApiServer, namespace: str) -> dict[str, dict[str, Any]]:
    """Status of each TrainJob."""
    items = server.request("GET", jobs(namespace)).body["items"]
    return {item["metadata"]["name"]: item.get("status", {}) for item in items}


def all_in(server: ApiServer, namespace: str, phase: str) -> bool:
    return {status.get("phase") for status in statuses(server, namespace).values()} == {phase}


def held(server: ApiServer, kind: str, namespace: str) -> list[dict[str, Any]]:
    """Objects of a kind that belong to TrainJobs."""
    path = f"{KINDS[kind]}/namespaces/{namespace}/{kind}?labelSelector=mmaction.dev%2Ftrainjob"
    items: list[dict[str, Any]] = server.request("GET", path).body["items"]
    return items


def test_a_job_is_checked_then_trained_then_over(plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    with a_controller(plane.server, tmp_path / "log"):
        apply(plane.server, namespace, "one")
        wait_until(lambda: all_in(plane.server, namespace, "Succeeded"))
    names = {item["metadata"]["name"] for item in held(plane.server, "jobs", namespace)}
    assert names == {"one-preflight", "one-1"}
    status = statuses(plane.server, namespace)["one"]
    assert {c["type"]: c["status"] for c in status["conditions"]} == {
        "Validated": "True",
        "Preflighted": "True",
        "Running": "False",
        "Complete": "True",
    }
    assert all(condition["observedGeneration"] == 1 for condition in status["conditions"])
    assert (status["attempt"], status["effectiveLR"] > 0) == (1, True)


def test_a_job_that_cannot_render_has_no_object_at_all(plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    with a_controller(plane.server, tmp_path / "log"):
        apply(plane.server, namespace, "wrong", model={"config": "no-such-config"})
        wait_until(lambda: all_in(plane.server, namespace, "Failed"))
    (condition,) = [c for c in statuses(plane.server, namespace)["wrong"]["conditions"] if c["type"] == "Failed"]
    assert condition["reason"] == "Config"
    assert "spec.model.config" in condition["message"]
    assert not held(plane.server, "jobs", namespace)
    assert not held(plane.server, "configmaps", namespace)


def test_removing_the_objects_of_a_job_that_is_over_does_not_run_it_again(
    plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    with a_controller(plane.server, tmp_path / "log"):
        apply(plane.server, namespace, "one", preflight=False)
        wait_until(lambda: all_in(plane.server, namespace, "Succeeded"))
        plane.server.kubectl("delete", "jobs", "--all", f"--namespace={namespace}")
        time.sleep(2)
    assert not held(plane.server, "jobs", namespace)
    assert all_in(plane.server, namespace, "Succeeded")


def test_a_controller_that_is_killed_at_twenty_moments_loses_and_doubles_nothing(
    plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    server, chance, count = plane.server, random.Random(11), 10
    ports: dict[str, set[int]] = {}
    waiting = [f"job-{number}" for number in range(count)]
    for _ in range(20):
        process = start_controller(server, tmp_path / "log")
        if waiting:
            apply(server, namespace, waiting.pop(), resources={"nodes": chance.choice([1, 2])})
        time.sleep(chance.uniform(0.0, 1.0))
        process.kill()
        process.wait()
        for name, status in statuses(server, namespace).items():
            ports.setdefault(name, set()).update({status["port"]} if "port" in status else set())
    with a_controller(server, tmp_path / "log"):
        wait_until(lambda: all_in(server, namespace, "Succeeded"), within=120)

    final = statuses(server, namespace)
    assert len(final) == count
    assert {status["attempt"] for status in final.values()} == {1}
    made = Counter(item["metadata"]["labels"]["mmaction.dev/trainjob"] for item in held(server, "jobs", namespace))
    assert set(made.values()) == {2}, "a preflight and one attempt each"
    assert all(len(seen) == 1 for seen in ports.values() if seen), "an attempt keeps its port"
    leased = [status["port"] for status in final.values()]
    running_at_once = [port for port, times in Counter(leased).items() if times > 1]
    assert not running_at_once, "jobs that ran side by side had ports of their own"
