"""Of all that the chart grants to the controller everything is used and nothing is missing; trainers may nothing.

The controller runs with the chart's service account, and the API server records what it is asked by that account.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from mmaction_operator.plan import names
from mmaction_trainer.contract.progress import Progress
from tests.cluster.api_server import ISSUER, ApiServer
from tests.cluster.chart import ACCOUNT, account_of_chart, privileges
from tests.cluster.control_plane import ControlPlane, pods_complete, start_control_plane
from tests.trainjob_cases import changed

from .conftest import CRD, jobs
from .controllers import a_controller, wait_until

SYSTEM, TEAM = "mmaction-system", "team"
NOWHERE = {"nodeSelector": {"rack": "none"}}
NOT_ASKED = {("update", "mmaction.dev", "trainjobs/finalizers")}
"""Looked up by an admission plugin, which runs here: without it no object could be made whose owner waits for it."""

Grant = tuple[str, str, str]
"""A verb, an API group, and a resource with its subresource."""


@dataclass(frozen=True)
class Recorded:
    """A control plane, the kubeconfig of the chart's account in it, and where what that account asks is recorded."""

    plane: ControlPlane
    kubeconfig: Path
    log: Path

    def entries(self) -> list[dict[str, Any]]:
        """What was asked so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    folder = tmp_path_factory.mktemp("audit")
    user = f"system:serviceaccount:{SYSTEM}:{ACCOUNT}"
    rules = [{"level": "Metadata", "users": [user]}, {"level": "None"}]
    policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": rules}
    (folder / "policy.yaml").write_text(yaml.safe_dump(policy))
    options = (
        f"--audit-policy-file={folder / 'policy.yaml'}",
        f"--audit-log-path={folder / 'log'}",
        "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
    )
    ours = {names.MANAGED_BY: names.MANAGER}
    with pods_complete(ours) as ending, start_control_plane(ending, api_server=options) as plane:
        plane.server.define(CRD)
        plane.add_fake_nodes(4)
        for name in (SYSTEM, TEAM):
            plane.server.make_namespace(name)
        yield Recorded(plane, account_of_chart(plane.server, SYSTEM), folder / "log")


@contextmanager
def controller(recorded: Recorded, log: Path) -> Iterator[int]:
    """A controller as its chart runs it; the port where it answers."""
    leases = f"{SYSTEM}/{ACCOUNT},kube-system/mmaction.dev.controller"
    more = (f"--leases={leases}", "--progress-url=http://controller/v1/progress")
    with a_controller(recorded.kubeconfig, log, *more):
        found = re.search(r"answering HTTP at port (\d+)", log.read_text())
        assert found
        yield int(found[1])


def apply(server: ApiServer, name: str, **spec: Any) -> None:
    """A TrainJob, made or changed."""
    manifest = changed({f"spec.{key}": value for key, value in spec.items()})
    manifest["metadata"] |= {"name": name, "namespace": TEAM}
    server.apply(manifest)


def status(server: ApiServer, name: str) -> dict[str, Any]:
    """What is said of a job."""
    found: dict[str, Any] = server.request("GET", f"{jobs(TEAM)}/{name}").body.get("status", {})
    return found


def reason(server: ApiServer, name: str, kind: str) -> str:
    """Why a condition is as it is."""
    return next((c["reason"] for c in status(server, name).get("conditions", ()) if c["type"] == kind), "")


def taken(name: str, kind: str) -> dict[str, Any]:
    """An object of somebody else that has the name of a job's."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "mine", "image": "mine:v1"}]}
    version, spec = {
        "Job": ("batch/v1", {"suspend": True, "template": {"spec": pod}}),
        "Pod": ("v1", pod),
        "Service": ("v1", {"clusterIP": "None"}),
    }[kind]
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": TEAM}, "spec": spec}


def granted(server: ApiServer) -> set[Grant]:
    """All that the chart's roles grant."""
    rules = [rule for item in privileges(server, SYSTEM) for rule in item.get("rules", ())]
    return {
        (verb, group, resource)
        for rule in rules
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def asked(entry: dict[str, Any]) -> Grant:
    """What a request needs."""
    about = entry["objectRef"]
    resource = "/".join(filter(None, (about["resource"], about.get("subresource"))))
    return entry["verb"], about.get("apiGroup", ""), resource


def test_all_that_the_chart_grants_is_used_and_nothing_is_missing(recorded: Recorded, tmp_path: Path) -> None:
    server = recorded.plane.server
    for kind, name in (("Pod", "pod-preflight"), ("Job", "job-1"), ("Service", "service")):
        server.apply(taken(name, kind))
    with controller(recorded, tmp_path / "log-1"):
        apply(server, "tidy", resources={"nodes": 2}, ttlSecondsAfterFinished=1)
        apply(server, "pod")
        apply(server, "job", preflight=False)
        apply(server, "service", preflight=False, resources={"nodes": 2})
        wait_until(lambda: status(server, "tidy").get("phase") == "Succeeded")
        wait_until(
            lambda: not server.kubectl("get", "jobs,configmaps", f"--namespace={TEAM}", "-l", f"{names.JOB}=tidy")
        )
        wait_until(lambda: reason(server, "pod", "Preflighted") == "FailedCreate")
        wait_until(lambda: reason(server, "job", "Running") == reason(server, "service", "Running") == "FailedCreate")
        apply(server, "gone", preflight=False, pods=NOWHERE)
        wait_until(lambda: status(server, "gone").get("phase") == "Pending")
        server.kubectl("delete", "trainjob", "gone", f"--namespace={TEAM}")
        for suspended in (True, False, True, False):
            apply(server, "paused", preflight=False, pods=NOWHERE, suspend=suspended)
            wait_until(lambda now=suspended: (status(server, "paused").get("phase") == "Suspended") is now)
            wait_until(lambda: status(server, "paused").get("phase") in ("Suspended", "Pending"))
    with controller(recorded, tmp_path / "log-2") as port:
        apply(server, "paused", preflight=False, pods=NOWHERE, suspend=True)
        wait_until(lambda: status(server, "paused").get("phase") == "Suspended")
        assert post(port, "a token") == 401
    entries = recorded.entries()
    denied = [asked(entry) for entry in entries if entry["responseStatus"]["code"] in (401, 403)]
    assert not denied
    used = {asked(entry) for entry in entries if "objectRef" in entry and entry["objectRef"].get("resource")}
    assert granted(server) - used == NOT_ASKED
    assert used - granted(server) == set()


def post(port: int, token: str, epoch: int = 1) -> int:
    """Post progress as a trainer does; the status that this is answered with."""
    body = Progress(stage="Training", observed_at=datetime.now(UTC), epoch=epoch, epochs=9).to_json()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/v1/progress", body, {"Authorization": f"Bearer {token}"})
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_trainers_token_tells_its_own_jobs_progress_and_opens_nothing(recorded: Recorded, tmp_path: Path) -> None:
    server = recorded.plane.server

    def token(pod: str, audience: str) -> str:
        """As a kubelet gives it to the pod."""
        bound = ("--bound-object-kind=Pod", f"--bound-object-name={pod}", f"--audience={audience}")
        return server.kubectl("create", "token", "default", f"--namespace={TEAM}", *bound).strip()

    def pod_of(name: str) -> str:
        """Name of a job's only pod; empty if there is none."""
        found = server.kubectl("get", "pods", f"--namespace={TEAM}", "-l", f"{names.JOB}={name}", "--output=name")
        return found.strip().removeprefix("pod/")

    with controller(recorded, tmp_path / "log") as port:
        for name in ("mine", "theirs"):
            apply(server, name, preflight=False, pods=NOWHERE)
        wait_until(lambda: pod_of("mine") and pod_of("theirs") and status(server, "mine").get("attempt"))
        trainers = token(pod_of("mine"), "mmaction-operator")
        wait_until(lambda: post(port, trainers, epoch=4) == 204)
        wait_until(lambda: status(server, "mine").get("progress", {}).get("epoch") == 4)
        assert "progress" not in status(server, "theirs")
        assert post(port, token(pod_of("mine"), ISSUER)) == 401
        stranger = server.kubectl("create", "token", "default", f"--namespace={TEAM}", "--audience=mmaction-operator")
        assert post(port, stranger.strip()) == 401
    for path in ("/api/v1/namespaces/team/pods", jobs(TEAM), "/apis/batch/v1/namespaces/team/jobs"):
        assert answered(server, path, trainers) == 401
        assert answered(server, path, token(pod_of("mine"), ISSUER)) == 403


def answered(server: ApiServer, path: str, token: str) -> int:
    """What the API server says to whoever has a token and nothing else."""
    context = ssl.create_default_context(cafile=str(server.authority.certificate))
    connection = http.client.HTTPSConnection(server.address, server.PORT, context=context, timeout=10)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        return connection.getresponse().status
    finally:
        connection.close()
