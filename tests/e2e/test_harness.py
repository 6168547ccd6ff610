"""Clusters come and go without a trace on this machine, and do not touch each other."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.clusters import Cluster, start_cluster
from tests.cluster.seed import PAUSE, pause_layout
from tests.cluster.slot import clear_abandoned

from .conftest import Seen, a_pod, host, left_since, new_since, run_by, wait_for

ROOT = Path(__file__).parents[2]

HOLDER = """
import sys
from tests.cluster.clusters import start_cluster
with start_cluster(nodes=2) as cluster:
    cluster.server.kubectl("run", "sleeper", "--image=localhost/pause:1", "--image-pull-policy=Never")
    cluster.server.kubectl("wait", "--for=condition=Ready", "pod/sleeper", "--timeout=60s")
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def before() -> Seen:
    """This machine before the test."""
    clear_abandoned()
    return host()


@contextmanager
def another_process() -> Iterator[subprocess.Popen[str]]:
    """A process that has a cluster with a running pod."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout
        assert holder.stdout.readline() == "ready\n"
        yield holder
    finally:
        holder.kill()
        holder.communicate()


def run_a_pod(cluster: Cluster, name: str) -> None:
    cluster.server.apply(a_pod(name, "default", PAUSE, "/pause", securityContext={"runAsUser": 65532}))
    wait_for(cluster.server, "condition=Ready", f"pod/{name}")


def test_two_clusters_run_at_once_and_the_end_of_one_is_nothing_to_the_other(before: Seen) -> None:
    with start_cluster(nodes=1) as staying:
        with start_cluster(nodes=2) as other:
            addresses = [node.address for cluster in (staying, other) for node in cluster.nodes]
            assert len(set(addresses)) == 3
            assert len({staying.server.url, other.server.url}) == 2
            assert len({staying.s3.endpoint, other.s3.endpoint}) == 2
            run_a_pod(staying, "here")
            run_a_pod(other, "there")
            for cluster, pod, stranger in ((staying, "here", "there"), (other, "there", "here")):
                assert cluster.server.request("GET", f"/api/v1/namespaces/default/pods/{pod}").status == 200
                assert cluster.server.request("GET", f"/api/v1/namespaces/default/pods/{stranger}").status == 404
            names = [{item["metadata"]["name"] for item in nodes(cluster)} for cluster in (staying, other)]
            assert names == [{"node-1"}, {"node-1", "node-2"}]
        wait_for(staying.server, "condition=Ready", "pod/here")
        run_a_pod(staying, "after")
    assert not left_since(before)


def nodes(cluster: Cluster) -> list[dict[str, dict[str, str]]]:
    items: list[dict[str, dict[str, str]]] = cluster.server.request("GET", "/api/v1/nodes").body["items"]
    return items


def test_a_cluster_with_running_pods_ends_without_a_trace(before: Seen) -> None:
    with start_cluster(nodes=2) as cluster:
        run_a_pod(cluster, "sleeper")
        during = new_since(before)
        assert {"etcd", "kubelet", "containerd"} <= run_by(during)
        assert set(during) == {"processes", "links", "routes", "namespaces", "cgroups"}, "the rest is the nodes' own"
    assert not left_since(before)


def test_after_kill_9_of_the_harness_the_next_start_leaves_nothing_of_it(before: Seen) -> None:
    with another_process() as holder:
        assert "kubelet" in run_by(new_since(before))
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    with start_cluster(nodes=1) as cluster:
        run_a_pod(cluster, "sleeper")
    assert not left_since(before)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_harness_takes_its_cluster_along(signum: signal.Signals, before: Seen) -> None:
    with another_process() as holder:
        holder.send_signal(signum)
        holder.communicate(timeout=30)
    clear_abandoned()
    assert not left_since(before)


def test_a_cluster_that_does_not_start_leaves_nothing(before: Seen) -> None:
    layout = pause_layout()
    with pytest.raises(KeyError, match="no-such-image"), start_cluster(nodes=1, images={"no-such-image": layout}):
        pass
    assert not left_since(before)


def test_a_failure_in_a_test_ends_the_cluster(before: Seen) -> None:
    with pytest.raises(ZeroDivisionError), start_cluster(nodes=1):
        _ = 1 / 0
    assert not left_since(before)
