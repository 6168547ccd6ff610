"""helm install, kubectl apply, and trainings on real nodes with their data and results in S3."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from mmaction_operator.ports import PortRange, choose, start_of
from mmaction_trainer.storage import Storage, open_storage
from mmaction_trainer.storage.published import verify
from tests.cluster.clusters import Cluster

from .conftest import Shell, output_of_success
from .jobs import (
    Manifest,
    a_job,
    check_success,
    ended,
    events,
    is_over,
    objects,
    path_of,
    status_of,
    told,
    until,
    with_credentials,
)

VIDEOS = "/var/lib/videos"
OVER_TWO = {"nodes": 2, "gpusPerNode": 0, "processesPerNode": 1}
CONFIG = "tsm_imagenet-pretrained-mobilenetv2_8xb16-1x1x8-100e_kinetics400-rgb"


@pytest.fixture
def open_team(cluster: Cluster, operator: str, namespace: str) -> str:
    """A team's namespace whose pods may use their node's network, which no level but privileged allows."""
    label = "pod-security.kubernetes.io/enforce=privileged"
    cluster.server.kubectl("label", "--overwrite", "namespace", namespace, label)
    return with_credentials(cluster, namespace)


def test_three_jobs_on_one_nodes_network_train_at_once_on_three_ports(
    cluster: Cluster, open_team: str, data: str, results: Callable[[str], Storage], shell: Shell
) -> None:
    where = {"hostNetwork": True, "nodeSelector": {"kubernetes.io/hostname": "node-1"}}
    cluster.nodes[0].run("mkdir", "--mode=777", VIDEOS)
    pods = {**where, "cache": {"hostPath": VIDEOS}}
    three = [a_job(f"job-{number}", open_team, data, pods=pods) for number in range(3)]
    (shell.folder / "job-0.yaml").write_text(yaml.safe_dump(three[0]))
    watch = shell.start("submit", "job-0.yaml", "--watch")
    cluster.server.apply(*three[1:])
    assert watch.stdout
    assert watch.stdout.readline() == "trainjob.mmaction.dev/job-0 created\n"
    follow = shell.start("logs", "job-0", "--follow")
    statuses = [ended(cluster, job)["status"] for job in three]
    assert f"results  {statuses[0]['results']['uri']}\n" in output_of_success(watch)
    check_command_line(cluster, shell, three[0], statuses[0], output_of_success(follow))
    for job, status in zip(three, statuses, strict=True):
        assert status["phase"] == "Succeeded", f"{json.dumps(status)}\n{told(cluster, job)}"
        check_success(status, results(status["results"]["uri"]), world_size=2)
        assert (status["attempt"], status["nodes"]) == (1, ["node-1"])
        assert "Succeeded" in events(cluster, job)
    kept = cluster.nodes[0].run("find", f"{VIDEOS}/data", "-name", "*.avi").split()
    assert len(kept) == 18  # two for training and one for the test, of six classes, once for all three jobs
    assert len({status["port"] for status in statuses}) == 3
    assert all(20000 <= status["port"] <= 29399 for status in statuses)
    assert "didn't have free ports" not in cluster.server.kubectl("get", "events", f"--namespace={open_team}")
    rows = cluster.server.kubectl("get", "trainjobs", f"--namespace={open_team}", "--no-headers").splitlines()
    for row, status in zip(rows, statuses, strict=True):
        name, phase, epoch, top1, best, port, *_ = row.split()
        shown = status["progress"]
        assert (phase, epoch, port) == ("Succeeded", "2", str(status["port"])), name
        assert (float(top1), float(best)) == (shown["top1"], shown["best"]["top1"]), name


def check_command_line(cluster: Cluster, shell: Shell, job: Manifest, status: dict[str, Any], followed: str) -> None:
    """What the command line says of a job that is over is what its status says, its pods printed and it left."""
    name, results = job["metadata"]["name"], status["results"]
    told = shell.run("status", name)
    for words in (f"test            top-1 {results['test']['top1']:.4f}", results["uri"], f" {status['port']}\n"):
        assert words in told
    printed = shell.run("logs", name)
    assert printed == cluster.server.kubectl("logs", f"job/{name}-1", f"--namespace={job['metadata']['namespace']}")
    assert "Epoch(test)" in printed
    assert printed in followed
    assert "each as the manifest says" in shell.run("results", "get", name)
    fetched = open_storage(str(shell.folder / name))
    assert verify(fetched) == []
    assert hashlib.sha256(fetched.read("manifest.json")).hexdigest() == results["manifestSHA256"]


def test_a_job_over_two_nodes_trains_as_one_world(
    cluster: Cluster, team: str, data: str, results: Callable[[str], Storage], shell: Shell
) -> None:
    job = a_job("wide", team, data, resources=OVER_TWO)
    cluster.server.apply(job)
    status = ended(cluster, job)["status"]
    assert status["phase"] == "Succeeded", f"{json.dumps(status)}\n{told(cluster, job)}"
    assert set(status["nodes"]) == {"node-1", "node-2"}
    check_success(status, results(status["results"]["uri"]), world_size=2)
    printed = shell.run("logs", "wide").splitlines()
    assert {line.split()[0] for line in printed} == {"[node-0]", "[node-1]"}
    last = [line for line in printed if line.startswith("[node-1]")][-1]
    assert shell.run("logs", "wide", "--node", "1", "--tail", "1") == f"{last}\n"


def test_a_job_over_two_nodes_on_their_own_network_trains_as_one_world(
    cluster: Cluster, open_team: str, data: str, results: Callable[[str], Storage]
) -> None:
    """A node's name leads to no address, or to its loopback: where ranks meet is what launchers found on their way."""
    job = a_job("wide-host", open_team, data, resources=OVER_TWO, pods={"hostNetwork": True})
    cluster.server.apply(job)
    status = ended(cluster, job)["status"]
    assert status["phase"] == "Succeeded", f"{json.dumps(status)}\n{told(cluster, job)}"
    assert (status["attempt"], set(status["nodes"])) == (1, {"node-1", "node-2"})
    check_success(status, results(status["results"]["uri"]), world_size=2)


def test_a_training_is_suspended_resumed_and_tidied_up_after(
    cluster: Cluster, team: str, data: str, results: Callable[[str], Storage]
) -> None:
    training = {"epochs": 30, "batchSizePerGPU": 3, "lr": 0.01, "workers": 0}
    limits = {"activeDeadlineSeconds": 600, "ttlSecondsAfterFinished": 5}
    job = a_job("paused", team, data, preflight=False, training=training, **limits)
    cluster.server.apply(job)
    until(lambda: status_of(cluster, job).get("progress", {}).get("epoch", 0) > 0, told=lambda: told(cluster, job))
    suspend(cluster, job, "true")
    until(lambda: not objects(cluster, team, "jobs") and not objects(cluster, team, "pods"), within=150)
    assert status_of(cluster, job)["phase"] == "Suspended"
    suspend(cluster, job, "false")
    status = ended(cluster, job)["status"]
    assert (status["phase"], status["attempt"]) == ("Succeeded", 1), told(cluster, job)
    assert not status["failures"]
    check_resumed(status)
    until(lambda: not any(objects(cluster, team, kind) for kind in ("jobs", "pods", "configmaps")))
    check_success(status, results(status["results"]["uri"]), world_size=2, epochs=30, begun=2)
    assert {"Suspended", "Resumed", "Succeeded"} <= set(events(cluster, job))


def check_resumed(status: Manifest) -> None:
    """The job went on from a checkpoint that its first attempt left when it was told to stop."""
    assert status["resumedFrom"]["attempt"] == 1
    assert status["resumedFrom"]["iteration"] > 0


def suspend(cluster: Cluster, job: Manifest, value: str) -> None:
    """Change the field as a user does."""
    change = f'{{"spec": {{"suspend": {value}}}}}'
    where = (job["metadata"]["name"], f"--namespace={job['metadata']['namespace']}")
    cluster.server.kubectl("patch", "trainjob", *where, "--type=merge", f"--patch={change}")


def test_a_training_whose_pod_is_evicted_goes_on_in_another_and_loses_no_try(
    cluster: Cluster, team: str, data: str, results: Callable[[str], Storage]
) -> None:
    training = {"epochs": 30, "batchSizePerGPU": 3, "lr": 0.01, "workers": 0}
    job = a_job("evicted", team, data, preflight=False, backoffLimit=0, training=training)
    cluster.server.apply(job)
    until(lambda: status_of(cluster, job).get("progress", {}).get("iteration"), told=lambda: told(cluster, job))
    (name,) = objects(cluster, team, "pods")
    pod = name.removeprefix("pod/")
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": team}}
    answer = cluster.server.request("POST", f"/api/v1/namespaces/{team}/pods/{pod}/eviction", eviction)
    assert answer.status == 201
    status = ended(cluster, job)["status"]
    assert (status["phase"], status["attempt"]) == ("Succeeded", 2), told(cluster, job)
    assert [failure["reason"] for failure in status["failures"]] == ["Preempted"]
    check_resumed(status)
    check_success(status, results(status["results"]["uri"]), world_size=2, epochs=30, begun=2)


def test_a_training_whose_node_loses_power_goes_on_once_it_is_back_and_loses_no_try(
    cluster: Cluster, team: str, data: str, results: Callable[[str], Storage]
) -> None:
    training = {"epochs": 30, "batchSizePerGPU": 3, "lr": 0.01, "workers": 0}
    pods = {"nodeSelector": {"kubernetes.io/hostname": "node-2"}}
    job = a_job("powerless", team, data, preflight=False, backoffLimit=0, training=training, pods=pods)
    cluster.server.apply(job)
    kept = cluster.s3.folder / "results" / "team" / team / "powerless"
    until(lambda: list(kept.glob("*/resume/*/*.json")), told=lambda: told(cluster, job))
    with cluster.without(1):
        pass
    status = ended(cluster, job)["status"]
    assert (status["phase"], status["attempt"]) == ("Succeeded", 2), f"{json.dumps(status)}\n{told(cluster, job)}"
    assert [failure["reason"] for failure in status["failures"]] == ["Preempted"]
    check_resumed(status)
    check_success(status, results(status["results"]["uri"]), world_size=2, epochs=30, begun=2)


def test_a_leased_port_that_a_foreign_process_holds_is_replaced_and_not_counted(
    cluster: Cluster, open_team: str, data: str
) -> None:
    pods = {"hostNetwork": True, "nodeSelector": {"kubernetes.io/hostname": "node-1"}}
    job = a_job("unlucky", open_team, data, pods=pods, backoffLimit=0)
    cluster.server.apply(job)
    uid = cluster.server.request("GET", path_of(job)).body["metadata"]["uid"]
    first = choose(PortRange(), {}, start=start_of(f"{uid}-1"))  # what the controller will lease, if nobody has it
    listen = f"import socket, time; s = socket.create_server(('0.0.0.0', {first})); print('held'); time.sleep(300)"
    foreign = subprocess.Popen(
        cluster.nodes[0].command("python3", "-u", "-c", listen), stdout=subprocess.PIPE, text=True
    )
    try:
        assert foreign.stdout
        assert foreign.stdout.readline() == "held\n"
        status = ended(cluster, job)["status"]
    finally:
        foreign.kill()
        foreign.wait()
    assert status["phase"] == "Succeeded", f"{json.dumps(status)}\n{told(cluster, job)}"
    assert (status["attempt"], status["port"] != first) == (2, True)
    assert str(first) in events(cluster, job)["PortConflict"]


def kill_controller(cluster: Cluster, namespace: str) -> bool:
    """SIGKILL the controller, wherever it runs, and have it made anew at once; False if it did not run."""
    kill = ("pkill", "-KILL", "-f", "[b]in/mmaction-controller")
    killed = [subprocess.run(node.command(*kill), check=False).returncode == 0 for node in cluster.nodes]
    # A new pod, as a container that is started again waits longer each time.
    cluster.server.kubectl("delete", "pods", "--all", "--force", "--grace-period=0", f"--namespace={namespace}")
    return any(killed)


def test_jobs_are_trained_once_each_while_the_controller_is_killed(
    cluster: Cluster, operator: str, team: str, data: str, results: Callable[[str], Storage]
) -> None:
    training = {"epochs": 6, "batchSizePerGPU": 3, "lr": 0.01, "workers": 0}
    jobs = [a_job(f"job-{number}", team, data, training=training) for number in range(3)]
    chance, kills = random.Random(5), 0
    cluster.server.apply(*jobs)
    deadline = time.monotonic() + 300
    while not all(is_over(cluster.server.request("GET", path_of(job)).body) for job in jobs):
        kills += kill_controller(cluster, operator)
        assert time.monotonic() < deadline, told(cluster, jobs[0])
        time.sleep(chance.uniform(18, 30))  # the next one leads once the lease of the one killed is over, in 15 s
    assert kills >= 2, "the jobs were over before they were disturbed"
    statuses = [cluster.server.request("GET", path_of(job)).body["status"] for job in jobs]
    for job, status in zip(jobs, statuses, strict=True):
        assert (status["phase"], status["attempt"]) == ("Succeeded", 1), f"{json.dumps(status)}\n{told(cluster, job)}"
        assert verify(results(status["results"]["uri"])) == []
    assert len({status["port"] for status in statuses}) == 3
    made = cluster.server.request("GET", f"/apis/batch/v1/namespaces/{team}/jobs").body["items"]
    assert sorted(item["metadata"]["name"] for item in made) == ["job-0-1", "job-1-1", "job-2-1"]


WRONG: dict[str, tuple[dict[str, Any], tuple[str, str, str]]] = {
    "no such config": ({"model": {"config": "no-such-config"}}, ("Failed", "Config", "spec.model.config")),
    "no data": (
        {"dataset": {"uri": "s3://datasets/none", "format": "ucf101", "numClasses": 6}},
        ("Failed", "Data", "s3://datasets/none"),
    ),
    "no secret": (
        {"storage": {"uri": "s3://results/team", "credentialsSecret": "none"}},
        ("Preflighted", "CreateContainerConfigError", "spec.storage.credentialsSecret"),
    ),
    "no image": (
        {"pods": {"image": "localhost/none:1"}, "preflight": False},
        ("Running", "ImagePullBackOff", "spec.pods.image"),
    ),
    "no node": ({"resources": {"gpusPerNode": 8}}, ("Running", "Unschedulable", "Insufficient nvidia.com/gpu")),
    "little memory": (
        {"resources": {"gpusPerNode": 0, "processesPerNode": 2, "memoryPerNode": "300Mi"}},
        ("Failed", "OutOfMemory", "spec.resources.memoryPerNode"),
    ),
}


@pytest.mark.parametrize("what", WRONG, ids=lambda what: what.replace(" ", "-"))
def test_a_job_that_cannot_run_says_why_and_what_to_do(what: str, cluster: Cluster, team: str, data: str) -> None:
    spec, (kind, reason, says) = WRONG[what]
    job = a_job("wrong", team, data, **spec)
    cluster.server.apply(job)

    def condition() -> dict[str, Any]:
        conditions = cluster.server.request("GET", path_of(job)).body.get("status", {}).get("conditions", ())
        return next((c for c in conditions if (c["type"], c["reason"]) == (kind, reason)), {})

    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, told(cluster, job)
        time.sleep(0.5)
    assert says in condition()["message"]
    deadline = time.monotonic() + 10
    while not any(says in message for message in events(cluster, job).values()):
        assert time.monotonic() < deadline, events(cluster, job)
        time.sleep(0.2)
    if kind != "Running" and reason != "OutOfMemory":
        jobs = cluster.server.request("GET", f"/apis/batch/v1/namespaces/{team}/jobs").body["items"]
        assert not [item for item in jobs if not item["metadata"]["name"].endswith("-preflight")], (
            "no GPU was asked for"
        )
    cluster.server.kubectl("delete", "trainjob", "wrong", f"--namespace={team}")
