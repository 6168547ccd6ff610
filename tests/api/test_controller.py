"""The controller against a real API server, scheduler and Job controller; KWOK plays nodes, and pods end at once."""

from __future__ import annotations

import itertools
import json
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mmaction_operator.plan import names
from tests.cluster.api_server import ApiServer
from tests.cluster.control_plane import ControlPlane, pods_complete, start_control_plane
from tests.trainjob_cases import changed

from .conftest import CRD, jobs
from .controllers import a_controller, launch_controller, start_controller, wait_until

KINDS = {"jobs": "/apis/batch/v1", "configmaps": "/api/v1", "pods": "/api/v1"}

_numbers = itertools.count()


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """A control plane that serves TrainJobs, whose pods succeed as soon as they run."""
    ours = {names.MANAGED_BY: names.MANAGER}
    with pods_complete(ours) as ending, start_control_plane(ending) as plane:
        plane.server.define(CRD)
        plane.add_fake_nodes(4)
        yield plane


@pytest.fixture
def namespace(plane: ControlPlane) -> str:
    name = f"team-{next(_numbers)}"
    plane.server.make_namespace(name)
    return name


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
    with a_controller(plane.server.kubeconfig, tmp_path / "log"):
        apply(plane.server, namespace, "one")
        wait_until(lambda: all_in(plane.server, namespace, "Succeeded"))
    made = {kind: [item["metadata"]["name"] for item in held(plane.server, kind, namespace)] for kind in KINDS}
    assert made["jobs"] == ["one-1"]
    assert len(made["configmaps"]) == 1
    assert "one-preflight" in made["pods"]
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
    with a_controller(plane.server.kubeconfig, tmp_path / "log"):
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
    with a_controller(plane.server.kubeconfig, tmp_path / "log"):
        apply(plane.server, namespace, "one", preflight=False)
        wait_until(lambda: all_in(plane.server, namespace, "Succeeded"))
        plane.server.kubectl("delete", "jobs", "--all", f"--namespace={namespace}")
        time.sleep(2)
    assert not held(plane.server, "jobs", namespace)
    assert all_in(plane.server, namespace, "Succeeded")


def condition_of(server: ApiServer, namespace: str, name: str, kind: str) -> tuple[str, str]:
    """Reason and message of a condition."""
    conditions = statuses(server, namespace)[name].get("conditions", ())
    return next(((c["reason"], c["message"]) for c in conditions if c["type"] == kind), ("", ""))


def touch(server: ApiServer, namespace: str, name: str) -> None:
    """Have the controller look again now."""
    server.kubectl("annotate", "trainjob", name, f"--namespace={namespace}", f"touched={next(_numbers)}", "--overwrite")


def test_what_the_api_server_does_not_take_is_told_and_tried_again(
    plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none", "namespace": namespace}}
    plane.server.apply(quota | {"spec": {"hard": {"pods": "0"}}})
    wait_until(lambda: "used" in plane.server.kubectl("get", "quota", "none", f"--namespace={namespace}", "-o", "yaml"))
    with a_controller(plane.server.kubeconfig, tmp_path / "log"):
        apply(plane.server, namespace, "one")
        wait_until(lambda: condition_of(plane.server, namespace, "one", "Preflighted")[0] == "FailedCreate")
        assert "exceeded quota: none" in condition_of(plane.server, namespace, "one", "Preflighted")[1]
        assert "FailedCreate" in plane.server.kubectl("get", "events", f"--namespace={namespace}")
        plane.server.kubectl("delete", "quota", "none", f"--namespace={namespace}")
        touch(plane.server, namespace, "one")
        wait_until(lambda: all_in(plane.server, namespace, "Succeeded"))


def test_a_name_that_something_else_has_is_told_and_left_alone(
    plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "one-1", "namespace": namespace}}
    containers = [{"name": "mine", "image": "mine:v1"}]
    template = {"spec": {"restartPolicy": "Never", "containers": containers}}
    plane.server.apply(job | {"spec": {"template": template}})
    with a_controller(plane.server.kubeconfig, tmp_path / "log"):
        apply(plane.server, namespace, "one", preflight=False)
        wait_until(lambda: condition_of(plane.server, namespace, "one", "Running")[0] == "FailedCreate")
        assert '"one-1" already exists' in condition_of(plane.server, namespace, "one", "Running")[1]
        theirs = plane.server.request("GET", f"/apis/batch/v1/namespaces/{namespace}/jobs/one-1").body
        assert theirs["spec"]["template"]["spec"]["containers"][0]["image"] == "mine:v1"
        assert "ownerReferences" not in theirs["metadata"]
        plane.server.kubectl("delete", "job", "one-1", f"--namespace={namespace}")
        touch(plane.server, namespace, "one")
        wait_until(lambda: all_in(plane.server, namespace, "Succeeded"))


def test_a_preflight_that_its_node_lost_is_made_again(plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    nowhere = {"nodeSelector": {"kubernetes.io/hostname": "no-such-node"}}
    path = f"/api/v1/namespaces/{namespace}/pods/one-preflight"
    with a_controller(plane.server.kubeconfig, tmp_path / "log"):
        apply(plane.server, namespace, "one", pods=nowhere)
        wait_until(lambda: plane.server.request("GET", path).status == 200)
        first = plane.server.request("GET", path).body["metadata"]["uid"]
        evicted = '{"status": {"phase": "Failed", "reason": "Evicted"}}'
        pod = ("pod", "one-preflight", f"--namespace={namespace}")
        plane.server.kubectl("patch", *pod, "--subresource=status", "-p", evicted)
        wait_until(lambda: plane.server.request("GET", path).body["metadata"].get("uid") not in (None, first))
        wait_until(lambda: all_in(plane.server, namespace, "Pending"))


def test_a_controller_that_is_killed_at_twenty_moments_loses_and_doubles_nothing(
    plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    server, chance, count = plane.server, random.Random(11), 10
    ports: dict[str, set[int]] = {}
    waiting = [f"job-{number}" for number in range(count)]
    for _ in range(20):
        process = start_controller(server.kubeconfig, tmp_path / "log")
        if waiting:
            apply(server, namespace, waiting.pop(), resources={"nodes": chance.choice([1, 2])})
        time.sleep(chance.uniform(0.0, 1.0))
        process.kill()
        process.wait()
        for name, status in statuses(server, namespace).items():
            ports.setdefault(name, set()).update({status["port"]} if "port" in status else set())
    with a_controller(server.kubeconfig, tmp_path / "log"):
        wait_until(lambda: all_in(server, namespace, "Succeeded"), within=120)

    final = statuses(server, namespace)
    assert len(final) == count
    assert {status["attempt"] for status in final.values()} == {1}
    for kind, each in {"jobs": 1, "configmaps": 1, "pods": None}.items():
        made = Counter(item["metadata"]["labels"]["mmaction.dev/trainjob"] for item in held(server, kind, namespace))
        assert len(made) == count
        assert each is None or set(made.values()) == {each}, kind
    assert all(len(seen) == 1 for seen in ports.values() if seen), "an attempt keeps its port"
    leased = [status["port"] for status in final.values()]
    running_at_once = [port for port, times in Counter(leased).items() if times > 1]
    assert not running_at_once, "jobs that ran side by side had ports of their own"


LEASE_SECONDS, RETRY_SECONDS = 15, 3
"""What a lease says, and how often it is tried at most."""


def test_another_replica_leads_within_the_leases_time_and_nothing_is_lost_or_doubled(
    plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    server = plane.server
    lease = f"--leases={namespace}/controller"
    first = start_controller(server.kubeconfig, tmp_path / "first", lease)
    apply(server, namespace, "job-0")
    wait_until(lambda: all_in(server, namespace, "Succeeded"))
    second = start_controller(server.kubeconfig, tmp_path / "second", lease)
    wait_until(lambda: "holds it" in (tmp_path / "second").read_text())  # on one machine they have two names
    for number in range(1, 9):
        apply(server, namespace, f"job-{number}")
    wait_until(lambda: bool(held(server, "jobs", namespace)))
    first.kill()
    first.wait()
    killed = time.monotonic()
    apply(server, namespace, "job-9")
    try:
        wait_until(lambda: statuses(server, namespace)["job-9"].get("phase") is not None)
        assert time.monotonic() - killed < LEASE_SECONDS + RETRY_SECONDS + 5
        wait_until(lambda: all_in(server, namespace, "Succeeded"))
    finally:
        second.terminate()
        assert second.wait(30) == 0
    final = statuses(server, namespace)
    assert {status["attempt"] for status in final.values()} == {1}
    assert len({status["port"] for status in final.values()}) == len(final) == len(held(server, "jobs", namespace))


NOWHERE = {"nodeSelector": {"rack": "none"}}
"""Pods that find no node, and so wait for as long as a test wants."""


def the_job(server: ApiServer, namespace: str) -> str:
    """Uid of the only Job; empty if there is none."""
    found = held(server, "jobs", namespace)
    assert len(found) <= 1
    return found[0]["metadata"]["uid"] if found else ""


@pytest.mark.parametrize("after", [0.0, 0.5, 1.0])
def test_a_controller_that_is_told_to_end_while_it_starts_ends_in_order_and_leads_nobody(
    plane: ControlPlane, tmp_path: Path, after: float
) -> None:
    lease = f"early-{after}".replace(".", "-")
    process = launch_controller(plane.server.kubeconfig, tmp_path / "log", f"--leases=default/{lease}")
    wait_until(lambda: holds_back(process.pid, signal.SIGTERM))
    time.sleep(after)
    process.terminate()
    assert process.wait(20) == 0
    path = f"/apis/coordination.k8s.io/v1/namespaces/default/leases/{lease}"
    assert not plane.server.request("GET", path).body.get("spec", {}).get("holderIdentity")


def holds_back(pid: int, told: signal.Signals) -> bool:
    """Whether a process has a signal blocked."""
    status = Path(f"/proc/{pid}/status").read_text()
    blocked = next(line.split()[1] for line in status.splitlines() if line.startswith("SigBlk"))
    return bool(int(blocked, 16) >> (told - 1) & 1)


def test_a_suspended_job_holds_no_pod_and_begins_its_attempt_anew_once_resumed(
    plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    server = plane.server
    with a_controller(server.kubeconfig, tmp_path / "log"):
        apply(server, namespace, "paused", preflight=False, pods=NOWHERE)
        wait_until(lambda: bool(the_job(server, namespace)))
        first = the_job(server, namespace)
        apply(server, namespace, "paused", preflight=False, pods=NOWHERE, suspend=True)
        wait_until(lambda: all_in(server, namespace, "Suspended") and not held(server, "pods", namespace))
        assert not the_job(server, namespace)
        apply(server, namespace, "paused", preflight=False, pods=NOWHERE, suspend=False)
        wait_until(lambda: the_job(server, namespace) not in ("", first))
        wait_until(lambda: all_in(server, namespace, "Pending"))
    assert statuses(server, namespace)["paused"]["attempt"] == 1


def test_a_job_that_trains_for_too_long_fails_and_is_not_tried_again(
    plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    with a_controller(plane.server.kubeconfig, tmp_path / "log"):
        apply(plane.server, namespace, "slow", preflight=False, pods=NOWHERE, activeDeadlineSeconds=3)
        wait_until(lambda: all_in(plane.server, namespace, "Failed"))
    failed = next(c for c in statuses(plane.server, namespace)["slow"]["conditions"] if c["type"] == "Failed")
    assert failed["reason"] == "Deadline"
    assert "spec.activeDeadlineSeconds" in failed["message"]


def test_what_is_left_of_a_job_goes_in_time_though_the_controller_restarts_and_nothing_runs_twice(
    plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    server = plane.server
    with a_controller(server.kubeconfig, tmp_path / "log"):
        apply(server, namespace, "tidy", ttlSecondsAfterFinished=5)
        wait_until(lambda: all_in(server, namespace, "Succeeded"))
        assert all(held(server, kind, namespace) for kind in KINDS)
    status = statuses(server, namespace)["tidy"]
    with a_controller(server.kubeconfig, tmp_path / "log-2"):
        wait_until(lambda: not any(held(server, kind, namespace) for kind in KINDS))
        time.sleep(3)
        assert not any(held(server, kind, namespace) for kind in KINDS)
    assert statuses(server, namespace)["tidy"] == status


def test_a_job_of_another_controller_has_nothing_made(plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    with a_controller(plane.server.kubeconfig, tmp_path / "log"):
        apply(plane.server, namespace, "theirs", managedBy="kueue.x-k8s.io/multikueue")
        apply(plane.server, namespace, "ours")
        wait_until(lambda: statuses(plane.server, namespace)["ours"].get("phase") == "Succeeded")
    assert statuses(plane.server, namespace)["theirs"] == {}
    assert {item["metadata"]["labels"][names.JOB] for item in held(plane.server, "pods", namespace)} == {"ours"}


def test_two_installations_side_by_side_each_take_the_jobs_that_name_them(
    plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    server, images = plane.server, {"plain": "trainer:v1", "named": "trainer:v2"}
    second = ("--controller-name=mmaction.dev/second", f"--trainer-image={images['named']}", "--ports=10000-10009")
    with (
        a_controller(server.kubeconfig, tmp_path / "log"),
        a_controller(server.kubeconfig, tmp_path / "log-2", *second),
    ):
        apply(server, namespace, "plain")
        apply(server, namespace, "named", managedBy="mmaction.dev/second")
        apply(server, namespace, "nobodys", managedBy="mmaction.dev/third")
        wait_until(lambda: sum(said.get("phase") == "Succeeded" for said in statuses(server, namespace).values()) == 2)
    found = statuses(server, namespace)
    assert {name: 10000 <= said["port"] < 10010 for name, said in found.items() if said} == {
        "plain": False,
        "named": True,
    }
    pods = held(server, "pods", namespace)
    used = {pod["metadata"]["labels"][names.JOB]: pod["spec"]["containers"][0]["image"] for pod in pods}
    assert used == images


def test_what_a_job_does_not_say_is_taken_from_its_namespace_then_from_the_cluster(
    plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    everywhere = {"pods": {"labels": {"team": "any", "floor": "2"}}, "ttlSecondsAfterFinished": 3600}
    of_namespace = {"pods": {"labels": {"team": "a"}, "env": [{"name": "NCCL_DEBUG", "value": "INFO"}]}}
    defaults = json.dumps({"everywhere": everywhere, "namespaces": {namespace: of_namespace}})
    with a_controller(plane.server.kubeconfig, tmp_path / "log", f"--defaults={defaults}"):
        apply(plane.server, namespace, "says-little")
        apply(plane.server, namespace, "says-more", pods={"labels": {"team": "b"}})
        wait_until(lambda: all_in(plane.server, namespace, "Succeeded"))
    for pod in held(plane.server, "pods", namespace):
        labels, variables = pod["metadata"]["labels"], pod["spec"]["containers"][0]["env"]
        assert labels["team"] == {"says-little": "a", "says-more": "b"}[labels[names.JOB]]
        assert labels["floor"] == "2"
        assert {"name": "NCCL_DEBUG", "value": "INFO"} in variables


def test_kueue_admits_preempts_and_admits_again(plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    """Kueue's part, by its contract for Jobs: ``suspend`` goes, with where to run; comes back; goes again."""
    server = plane.server

    def admit(suspended: bool, **template: Any) -> None:
        """Change the Job as Kueue does; where its pods may run only while it is suspended."""
        change = {"spec": {"suspend": suspended, **({"template": {"spec": template}} if template else {})}}
        where = (held(server, "jobs", namespace)[0]["metadata"]["name"], f"--namespace={namespace}")
        server.kubectl("patch", "job", *where, "--type=strategic", f"--patch={json.dumps(change)}")

    def reason() -> str:
        """Why the job does not run, or that it does."""
        conditions = statuses(server, namespace)["queued"].get("conditions", ())
        return next((c["reason"] for c in conditions if c["type"] == "Running"), "")

    manifest = changed({"spec.preflight": False})
    manifest["metadata"] |= {"name": "queued", "namespace": namespace, "labels": {names.QUEUE: "research"}}
    with a_controller(server.kubeconfig, tmp_path / "log"):
        server.apply(manifest)
        wait_until(lambda: reason() == "Queued")
        (job,) = held(server, "jobs", namespace)
        assert (job["metadata"]["labels"][names.QUEUE], held(server, "pods", namespace)) == ("research", [])
        admit(False, nodeSelector={"rack": "none"})
        wait_until(lambda: bool(held(server, "pods", namespace)) and reason() != "Queued")
        admit(True)
        wait_until(lambda: reason() == "Queued" and not held(server, "pods", namespace))
        admit(False, nodeSelector={"rack": None})
        wait_until(lambda: all_in(server, namespace, "Succeeded"))
    status = statuses(server, namespace)["queued"]
    assert (status["attempt"], status.get("failures", []), the_job(server, namespace)) == (
        1,
        [],
        job["metadata"]["uid"],
    )
