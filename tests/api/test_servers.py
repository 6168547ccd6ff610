"""The servers that tests run against do what the tests count on."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import IncompleteReadError, ResponseStreamingError

from tests.cluster.api_server import ApiServer, start_api_server
from tests.cluster.control_plane import POD_COMPLETE, ControlPlane, start_control_plane
from tests.cluster.fault_proxy import FaultProxy, Link
from tests.cluster.s3 import S3Server, client

TWO_GPUS = {"limits": {"nvidia.com/gpu": "2"}}


def job(name: str, pods: int = 2) -> dict[str, Any]:
    """An Indexed Job whose pods ask for two GPUs each."""
    container = {"name": "main", "image": "none", "resources": TWO_GPUS}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "completions": pods,
            "parallelism": pods,
            "completionMode": "Indexed",
            "template": {"spec": {"restartPolicy": "Never", "containers": [container]}},
        },
    }


def wait_for(server: ApiServer, condition: str, what: str) -> None:
    server.kubectl("wait", f"--for={condition}", what, "--timeout=60s")


def test_two_api_servers_know_nothing_of_each_other(api_server: ApiServer) -> None:
    with start_api_server() as other:
        assert other.url != api_server.url
        other.kubectl("create", "namespace", "only-here")
        assert api_server.request("GET", "/api/v1/namespaces/only-here").status == 404


def test_a_stranger_may_do_nothing(api_server: ApiServer) -> None:
    stranger = api_server.kubeconfig_for("stranger", api_server.authority.issue("stranger", user="stranger"))
    with pytest.raises(RuntimeError, match="forbidden"):
        api_server.kubectl("get", "namespaces", f"--kubeconfig={stranger}")


def test_pods_of_a_job_run_on_fake_nodes_and_stay(control_plane: ControlPlane) -> None:
    server = control_plane.server
    control_plane.add_fake_nodes(2, gpus=4)
    server.apply(job("stays"))
    wait_for(server, "jsonpath={.status.ready}=2", "job/stays")
    pods = server.request("GET", "/api/v1/namespaces/default/pods?labelSelector=job-name%3Dstays").body["items"]
    assert {pod["status"]["phase"] for pod in pods} == {"Running"}
    server.kubectl("delete", "job", "stays")


def test_a_pod_that_fits_no_node_stays_pending_with_the_reason(control_plane: ControlPlane) -> None:
    server = control_plane.server
    control_plane.add_fake_nodes(2, gpus=4)
    server.apply(job("too-large", pods=5))
    wait_for(server, "jsonpath={.status.ready}=4", "job/too-large")
    pods = server.request("GET", "/api/v1/namespaces/default/pods?labelSelector=job-name%3Dtoo-large").body["items"]
    (pending,) = [pod for pod in pods if pod["status"]["phase"] == "Pending"]
    assert "Insufficient nvidia.com/gpu" in pending["status"]["conditions"][0]["message"]
    server.kubectl("delete", "job", "too-large")


def test_with_one_more_stage_pods_of_jobs_complete() -> None:
    with start_control_plane(POD_COMPLETE) as plane:
        plane.add_fake_nodes(1)
        plane.server.apply(job("ends"))
        wait_for(plane.server, "condition=complete", "job/ends")


@pytest.fixture
def link(fault_proxy: FaultProxy, s3: S3Server) -> Iterator[Link]:
    """A way to the S3 server that can be made bad."""
    link = fault_proxy.link("s3", s3.endpoint.removeprefix("http://"), 9001)
    yield link
    link.remove()


def status(link: Link) -> int:
    """What the S3 server answers through a link to somebody without credentials."""
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(f"http://{link.endpoint}/", timeout=10)
    return refusal.value.code


def test_a_link_can_be_cut_and_mended(link: Link) -> None:
    assert status(link) == 403
    link.cut()
    with pytest.raises(urllib.error.URLError, match="refused"):
        urllib.request.urlopen(f"http://{link.endpoint}/", timeout=10)
    link.mend()
    assert status(link) == 403


def test_a_link_can_be_slow(link: Link) -> None:
    link.add("latency", latency=400)
    begun = time.monotonic()
    assert status(link) == 403
    assert time.monotonic() - begun >= 0.4
    link.mend()
    begun = time.monotonic()
    assert status(link) == 403
    assert time.monotonic() - begun < 0.4


def test_a_link_can_end_in_the_middle_of_an_object(link: Link, s3: S3Server) -> None:
    s3.bucket("cut-short")
    client(s3).put_object(Bucket="cut-short", Key="object", Body=b"x" * 100_000)
    through = client(replace(s3, endpoint=f"http://{link.endpoint}"))
    assert len(through.get_object(Bucket="cut-short", Key="object")["Body"].read()) == 100_000
    link.add("limit_data", bytes=50_000)
    answer = through.get_object(Bucket="cut-short", Key="object")
    with pytest.raises((IncompleteReadError, ResponseStreamingError)):
        answer["Body"].read()
