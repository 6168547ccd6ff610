"""A job that was stored under another version of the resource: its author is told, and all others go on."""

from __future__ import annotations

import pytest

from mmaction_operator.kube import Key
from tests.trainjob_cases import changed

from .cluster import Cluster, Process

OLD, OTHER = Key("team-a", "old"), Key("team-a", "other")


@pytest.fixture
def cluster() -> Cluster:
    """A cluster with a job that says what this version does not know, and another one."""
    cluster = Cluster()
    for key in (OLD, OTHER):
        manifest = changed({"metadata.name": key.name, "metadata.namespace": key.namespace})
        if key == OLD:
            manifest["spec"]["withdrawn"] = 1
        cluster.put("trainjobs", manifest)
    return cluster


def test_the_others_go_on(cluster: Cluster) -> None:
    process = Process(cluster)
    process.reconcile(OTHER)
    assert [item["metadata"]["name"] for item in cluster.all("pods")] == ["other-preflight"]


def test_its_author_is_told_what_is_wrong_and_nothing_is_made(cluster: Cluster) -> None:
    process = Process(cluster)
    assert process.reconcile(OLD) is None
    (event,) = cluster.all("events")
    assert (event["type"], event["reason"]) == ("Warning", "Unreadable")
    assert "spec.withdrawn: is not a field here" in event["message"]
    assert not cluster.all("pods")
