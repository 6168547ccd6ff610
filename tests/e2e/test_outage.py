"""Two minutes without an API server, on real nodes: trainings go on, and afterwards it is known how each ended."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

from mmaction_trainer.storage import Storage
from tests.cluster.clusters import Cluster
from tests.cluster.mortal import Mortal

from .jobs import Manifest, a_job, check_success, ended, objects, status_of, told, until

OUTAGE = 120.0
"""Seconds: the controller's lease is over in 10, a node counts as lost after 50."""


def test_trainings_go_on_for_two_minutes_without_an_api_server_and_are_known_afterwards(
    cluster: Cluster, operator: str, team: str, data: str, results: Callable[[str], Storage]
) -> None:
    epochs = {"long": 40, "short": 10, "late": 2}
    jobs = {name: trained_for(name, team, data, count) for name, count in epochs.items()}
    cluster.server.apply(jobs["long"], jobs["short"])
    for name in ("long", "short"):
        until(lambda job=jobs[name]: "epoch" in status_of(cluster, job).get("progress", {}))
    cluster.server.apply(jobs["late"])
    until(lambda: len(objects(cluster, team, "pods")) == len(jobs), told=lambda: told(cluster, jobs["late"]))
    others = ports_leased(cluster, operator) - len(jobs)
    before = {kind: uids(cluster, team, kind) for kind in ("jobs", "pods")}
    api_server = Mortal(cluster.server)
    api_server.kill()
    killed = time.time()
    time.sleep(OUTAGE)
    place = cluster.s3.folder / "results" / "team" / team / "short"
    until(lambda: bool(list(place.glob("*/manifest.json"))), within=240, told=lambda: "a slow machine")
    api_server.revive()
    revived = time.time()

    statuses = {name: ended(cluster, job)["status"] for name, job in jobs.items()}
    for name, status in statuses.items():
        assert (status["phase"], status["attempt"], status["failures"]) == ("Succeeded", 1, []), (
            f"{json.dumps(status)}\n{told(cluster, jobs[name])}"
        )
        assert {c["type"]: c["status"] for c in status["conditions"]} == {
            "Validated": "True",
            "Preflighted": "True",
            "Running": "False",
            "Complete": "True",
        }
        check_success(status, results(status["results"]["uri"]), world_size=2, epochs=epochs[name])
    assert {kind: uids(cluster, team, kind) for kind in ("jobs", "pods")} == before
    assert len({status["port"] for status in statuses.values()}) == len(jobs)
    assert killed < published(cluster, statuses["short"]) < revived, "it ended while nobody could be told"
    assert killed < published(cluster, statuses["long"])
    assert controller(cluster, operator)["status"]["containerStatuses"][0]["restartCount"] > 0, "its lease was lost"
    until(
        lambda: 0 <= ports_leased(cluster, operator) <= others,
        told=lambda: f"{ports_leased(cluster, operator)} ports are leased, {others} to jobs of others",
    )


def trained_for(name: str, namespace: str, data: str, epochs: int) -> Manifest:
    """A job of so many epochs."""
    training = {"epochs": epochs, "batchSizePerGPU": 3, "lr": 0.01, "workers": 0}
    return a_job(name, namespace, data, preflight=False, training=training)


def uids(cluster: Cluster, namespace: str, kind: str) -> dict[str, str]:
    """Uid of each object of a kind that belongs to a TrainJob, by its name."""
    path = {"jobs": "/apis/batch/v1", "pods": "/api/v1"}[kind]
    items = cluster.server.request("GET", f"{path}/namespaces/{namespace}/{kind}").body["items"]
    return {item["metadata"]["name"]: item["metadata"]["uid"] for item in items}


def published(cluster: Cluster, status: dict[str, Any]) -> float:
    """When a job's manifest came to storage, in seconds of the clock."""
    bucket, _, place = status["results"]["uri"].removeprefix("s3://").partition("/")
    return (cluster.s3.folder / bucket / place / "manifest.json").stat().st_mtime


def controller(cluster: Cluster, namespace: str) -> Manifest:
    """The controller's pod."""
    (pod,) = cluster.server.request("GET", f"/api/v1/namespaces/{namespace}/pods").body["items"]
    return dict(pod)


def ports_leased(cluster: Cluster, namespace: str) -> int:
    """How many ports the controller holds for attempts, as it tells Prometheus; -1 if it tells nothing."""
    name = controller(cluster, namespace)["metadata"]["name"]
    answer = cluster.server.request("GET", f"/api/v1/namespaces/{namespace}/pods/{name}:8080/proxy/metrics")
    found = re.search(r"^mmaction_operator_ports_leased (\d+)", answer.body.get("message", ""), re.MULTILINE)
    return int(found[1]) if found else -1
