"""The chart on real nodes: two installations side by side, an upgrade and its way back while a job trains, the end."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from mmaction_trainer.storage import Storage
from tests.cluster.chart import CHART, CRD
from tests.cluster.clusters import Cluster

from .jobs import (
    Manifest,
    a_job,
    check_success,
    ended,
    events,
    helm,
    image_values,
    objects,
    path_of,
    status_of,
    told,
    until,
    with_credentials,
)

KINDS = (
    *("deployments", "replicasets", "pods", "services", "serviceaccounts", "configmaps", "secrets", "leases"),
    *("roles", "rolebindings", "poddisruptionbudgets", "networkpolicies"),
)
"""What an installation may consist of in its namespace."""


@contextmanager
def installed(cluster: Cluster, release: str, namespace: str, chart: Path, *words: str) -> Iterator[None]:
    """A release, uninstalled at the end."""
    where = ("--namespace", namespace, "--wait", "--timeout", "120s")
    helm(cluster, "install", release, chart, *where, "--create-namespace", *words)
    yield
    helm(cluster, "uninstall", release, "--namespace", namespace, "--wait")


def team(cluster: Cluster, name: str) -> str:
    """A team's namespace with its S3 credentials."""
    cluster.server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    until(lambda: cluster.server.request("GET", account).status == 200)
    return with_credentials(cluster, name)


def left(cluster: Cluster, namespace: str) -> list[str]:
    """What an installation has left in its namespace, or beyond it."""
    get = ("get", "--output=name")
    inside = cluster.server.kubectl(*get, ",".join(KINDS), f"--namespace={namespace}").split()
    beyond = cluster.server.kubectl(*get, "clusterroles,clusterrolebindings").split()
    beyond += cluster.server.kubectl(*get, "leases", "--all-namespaces").split()
    usual = {"configmap/kube-root-ca.crt", "serviceaccount/default"}
    return [name for name in inside if name not in usual] + [name for name in beyond if "mmaction" in name]


def newer(chart: Path, folder: Path) -> Path:
    """The chart's next version, whose resource has one more field."""
    copied = folder / "chart"
    shutil.copytree(chart, copied)
    described = yaml.safe_load(CRD.read_text())
    spec = described["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["properties"]["comesLater"] = {"type": "string", "maxLength": 10}
    (copied / "files" / CRD.name).write_text(yaml.safe_dump(described))
    about = yaml.safe_load((copied / "Chart.yaml").read_text())
    (copied / "Chart.yaml").write_text(yaml.safe_dump(about | {"version": "0.99.0"}))
    return copied


def knows_the_next_version(cluster: Cluster) -> bool:
    """Whether the resource is that of the next version."""
    return "comesLater" in cluster.server.kubectl("get", "crd", "trainjobs.mmaction.dev", "--output=yaml")


def who_told(cluster: Cluster, job: Manifest) -> set[str]:
    """Releases whose controllers made events of a job."""
    about = f"--field-selector=involvedObject.name={job['metadata']['name']},involvedObject.kind=TrainJob"
    where = f"--namespace={job['metadata']['namespace']}"
    pods = cluster.server.kubectl("get", "events", where, about, "--output=jsonpath={.items[*].source.host}").split()
    return {pod.partition("-mmaction-operator")[0] for pod in pods}


def test_it_is_upgraded_rolled_back_and_removed_while_a_job_trains_and_no_job_is_disturbed(
    cluster: Cluster, images: dict[str, str], data: str, results: Callable[[str], Storage], tmp_path: Path
) -> None:
    ours, theirs, nobodys = (team(cluster, f"chart-{name}") for name in ("a", "b", "c"))
    values = image_values(images)
    training = {"epochs": 30, "batchSizePerGPU": 3, "lr": 0.01, "workers": 0}
    long = a_job("long", ours, data, preflight=False, training=training)
    wrong = a_job("wrong", theirs, data, model={"config": "no-such-model"})
    alone = a_job("alone", nobodys, data, preflight=False)
    other = ("other", "mmaction-other", CHART, *values, f"--set=namespaces={{{theirs}}}", "--set=crd.install=false")
    with installed(cluster, "mmaction", "mmaction-system", CHART, *values, f"--set=namespaces={{{ours}}}"):
        twice = ("twice", CHART, "--namespace=mmaction-system", *values, "--set=crd.install=false")
        with pytest.raises(AssertionError, match=r"Lease \"mmaction\.dev\.controller\".* cannot be imported"):
            helm(cluster, "install", *twice, f"--set=namespaces={{{ours}}}")
        with installed(cluster, *other):
            for job in (long, wrong, alone):
                cluster.server.apply(job)
            until(lambda: "epoch" in status_of(cluster, long).get("progress", {}), told=lambda: told(cluster, long))
            (made,) = objects(cluster, ours, "jobs")
            where = ("--namespace", "mmaction-system", "--wait", "--timeout", "120s")
            upgraded = ("--reuse-values", "--set=replicas=2", "--set=podAnnotations.note=new")
            helm(cluster, "upgrade", "mmaction", newer(CHART, tmp_path), *where, *upgraded)
            assert knows_the_next_version(cluster)
            assert "poddisruptionbudget" in " ".join(left(cluster, "mmaction-system"))
            helm(cluster, "rollback", "mmaction", "1", *where)
            assert not knows_the_next_version(cluster)
            assert ended(cluster, wrong)["status"]["phase"] == "Failed"
            assert who_told(cluster, wrong) == {"other"}
            assert status_of(cluster, alone) == {}
        status = ended(cluster, long)["status"]
        shown = f"{status}\n{told(cluster, long)}"
        assert (status["phase"], status["attempt"], status["failures"]) == ("Succeeded", 1, []), shown
        assert objects(cluster, ours, "jobs") == [made]
        assert set(events(cluster, long)) == {"Succeeded"}
        assert who_told(cluster, long) == {"mmaction"}
    check_success(status, results(status["results"]["uri"]), world_size=2, epochs=30)
    for namespace in ("mmaction-system", "mmaction-other"):
        until(lambda where=namespace: not left(cluster, where), told=lambda where=namespace: str(left(cluster, where)))
    for job in (long, wrong, alone):
        assert cluster.server.request("GET", path_of(job)).status == 200
        cluster.server.kubectl("delete", "namespace", job["metadata"]["namespace"], "--wait=false")
