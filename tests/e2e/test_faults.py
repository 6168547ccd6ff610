"""Every fault of ``tests/faults.py`` on real nodes: each ends its job before a pod asks for a GPU."""

from __future__ import annotations

from typing import Any

from tests.cluster.clusters import Cluster
from tests.faults import DATA, FAULTS, GOOD, RESULTS, Fault, job_of, put, users

from .jobs import Manifest, add_secret, ended, objects, told, until

AT_ONCE = 4
"""Preflights that run at a time: each imports torch, and has a gigabyte."""


def test_no_fault_comes_to_a_pod_that_asks_for_a_gpu(cluster: Cluster, team: str) -> None:
    for bucket in (DATA, RESULTS):
        cluster.s3.bucket(bucket.removeprefix("s3://"))
    for name, user in users(cluster.s3).items():
        add_secret(cluster, team, name, user)
    good = in_namespace(job_of("nothing-wrong", put(cluster.s3, "nothing-wrong", GOOD)), team)
    cluster.server.apply(good)
    until(lambda: objects(cluster, team, "jobs") == ["job.batch/nothing-wrong-1"], told=lambda: told(cluster, good))
    for some in (FAULTS[start : start + AT_ONCE] for start in range(0, len(FAULTS), AT_ONCE)):
        jobs = [applied(cluster, team, fault) for fault in some]
        for fault, job in zip(some, jobs, strict=True):
            check(fault, ended(cluster, job)["status"])
    assert objects(cluster, team, "jobs") == ["job.batch/nothing-wrong-1"]
    assert [name for name, limits in pods(cluster, team) if "nvidia.com/gpu" in limits] == ["nothing-wrong"]


def applied(cluster: Cluster, namespace: str, fault: Fault) -> Manifest:
    """The job of a fault, once it and its data set are there."""
    put(cluster.s3, fault.name, fault.data_set)
    job = in_namespace(fault.job, namespace)
    if fault.environment:
        job["spec"]["storage"]["credentialsSecret"] = fault.name
        add_secret(cluster, namespace, fault.name, cluster.s3, **fault.environment)
    cluster.server.apply(job)
    return job


def in_namespace(job: Manifest, namespace: str) -> Manifest:
    """The job in a namespace."""
    return {**job, "metadata": {**job["metadata"], "namespace": namespace}}


def check(fault: Fault, status: dict[str, Any]) -> None:
    """The status says what is wrong, and at which step it was found."""
    conditions = {condition["type"]: condition for condition in status["conditions"]}
    found = conditions["Validated" if fault.check == "render" else "Preflighted"]
    assert (status["phase"], found["status"]) == ("Failed", "False"), (fault.name, status)
    assert found["reason"] == conditions["Failed"]["reason"] == fault.failure.name, (fault.name, status)
    for words in fault.says:
        assert words in found["message"], (fault.name, found)
    assert not status.get("attempt"), fault.name


def pods(cluster: Cluster, namespace: str) -> list[tuple[str, dict[str, str]]]:
    """Each pod of a TrainJob: the job's name, and what its container is held to."""
    items = cluster.server.request("GET", f"/api/v1/namespaces/{namespace}/pods").body["items"]
    return [
        (
            pod["metadata"]["labels"]["mmaction.dev/trainjob"],
            pod["spec"]["containers"][0]["resources"].get("limits", {}),
        )
        for pod in items
    ]
