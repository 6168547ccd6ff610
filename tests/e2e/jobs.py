"""TrainJobs on real nodes: installing what runs them, and what is to be seen of them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from examples.demo import clips
from mmaction_trainer.storage import Storage
from mmaction_trainer.storage.published import verify
from tests.clips import CLIPS
from tests.cluster.chart import CHART
from tests.cluster.clusters import Cluster
from tests.cluster.programs import program
from tests.cluster.s3 import S3Server

SECRET = "s3-credentials"

Manifest = dict[str, Any]


def helm(cluster: Cluster, *words: str | Path) -> str:
    """Run helm against the cluster; its output."""
    command = [program("helm"), "--kubeconfig", cluster.server.kubeconfig, *words]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def image_values(images: dict[str, str]) -> list[str]:
    """Words of helm that name both images."""
    words = []
    for part, image in (("image", images["operator"]), ("trainer.image", images["trainer"])):
        repository, tag = image.rsplit(":", 1)
        words += ["--set", f"{part}.repository={repository}", "--set", f"{part}.tag={tag}"]
    return words


@contextmanager
def installed(cluster: Cluster, images: dict[str, str], *values: str) -> Iterator[str]:
    """The operator, installed from its chart under the restricted pod security level; its namespace."""
    namespace = "mmaction-system"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}})
    where = ("--namespace", namespace, "--wait", "--timeout", "120s")
    helm(cluster, "install", "mmaction", CHART, *where, *image_values(images), *values)
    yield namespace
    helm(cluster, "uninstall", "mmaction", "--namespace", namespace, "--wait")


def put_clips(cluster: Cluster, folder: Path) -> str:
    """A data set of real clips in S3, made in a folder, and a bucket for results; its URI."""
    clips.build(CLIPS, folder, train=2, test=1)
    cluster.s3.bucket("datasets")
    cluster.s3.bucket("results")
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            target = cluster.s3.folder / "datasets" / "six" / file.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    return "s3://datasets/six"


def with_credentials(cluster: Cluster, namespace: str) -> str:
    """A namespace, once it has the S3 credentials."""
    add_secret(cluster, namespace, SECRET, cluster.s3)
    return namespace


def add_secret(cluster: Cluster, namespace: str, name: str, user: S3Server, **more: str) -> None:
    """A Secret with the keys of a user of the S3 server, and what else a trainer's environment is to have."""
    keys = {
        "AWS_ACCESS_KEY_ID": user.access_key,
        "AWS_SECRET_ACCESS_KEY": user.secret_key,
        "AWS_ENDPOINT_URL": cluster.s3_in_pods,
        **more,
    }
    named = {"name": name, "namespace": namespace}
    cluster.server.apply({"apiVersion": "v1", "kind": "Secret", "metadata": named, "stringData": keys})


def a_job(name: str, namespace: str, data: str, **spec: Any) -> Manifest:
    """A small TrainJob on CPU."""
    return {
        "apiVersion": "mmaction.dev/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "model": {
                "config": "tsm_imagenet-pretrained-mobilenetv2_8xb16-1x1x8-100e_kinetics400-rgb",
                "pretrained": "none",
            },
            "dataset": {"uri": data, "format": "ucf101", "numClasses": 6},
            "input": {"cropSize": 32},
            "training": {"epochs": 2, "batchSizePerGPU": 3, "lr": 0.01, "workers": 0},
            "evaluation": {"clips": 1, "crops": 1},
            "resources": {"gpusPerNode": 0, "processesPerNode": 2},
            "storage": {"uri": "s3://results/team", "credentialsSecret": SECRET},
            **spec,
        },
    }


def ended(cluster: Cluster, job: Manifest, within: float = 300) -> Manifest:
    """The job once it is over."""
    path = path_of(job)
    deadline = time.monotonic() + within
    while True:
        now = cluster.server.request("GET", path).body
        if is_over(now):
            return now
        assert time.monotonic() < deadline, (
            f"not over after {within:.0f} s: {json.dumps(now.get('status'))}\n{told(cluster, job)}"
        )
        time.sleep(0.5)


def is_over(now: Manifest) -> bool:
    """Whether a job as the API server has it is over."""
    conditions = {c["type"]: c["status"] for c in now.get("status", {}).get("conditions", ())}
    return "True" in (conditions.get("Complete"), conditions.get("Failed"))


def path_of(job: Manifest) -> str:
    """Path of a TrainJob."""
    metadata = job["metadata"]
    return f"/apis/mmaction.dev/v1alpha1/namespaces/{metadata['namespace']}/trainjobs/{metadata['name']}"


def told(cluster: Cluster, job: Manifest) -> str:
    """Events of a job's namespace, and its pods: for the message of a test that fails."""
    namespace = f"--namespace={job['metadata']['namespace']}"
    return "\n".join(
        cluster.server.kubectl("get", what, namespace, "-o", "wide") for what in ("events", "pods", "jobs")
    )


def events(cluster: Cluster, job: Manifest) -> dict[str, str]:
    """Events about a job: reason and message."""
    metadata = job["metadata"]
    fields = quote(f"involvedObject.name={metadata['name']},involvedObject.kind=TrainJob")
    path = f"/api/v1/namespaces/{metadata['namespace']}/events?fieldSelector={fields}"
    return {item["reason"]: item["message"] for item in cluster.server.request("GET", path).body["items"]}


def status_of(cluster: Cluster, job: Manifest) -> dict[str, Any]:
    """What is said of a job now."""
    status: dict[str, Any] = cluster.server.request("GET", path_of(job)).body.get("status", {})
    return status


def objects(cluster: Cluster, namespace: str, kind: str) -> list[str]:
    """Names of the objects of a kind that belong to TrainJobs."""
    labels = "--selector=mmaction.dev/trainjob"
    return cluster.server.kubectl("get", kind, f"--namespace={namespace}", labels, "--output=name").split()


def until(reached: Callable[[], bool], *, within: float = 120, told: Callable[[], str] = str) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + within
    while not reached():
        assert time.monotonic() < deadline, f"not so after {within:.0f} s: {told()}"
        time.sleep(0.5)


def metrics_of(storage: Storage) -> dict[str, list[dict[str, Any]]]:
    """The trainer's own record, by stage."""
    lines = [json.loads(line) for line in storage.read("metrics.jsonl").decode().splitlines()]
    return {stage: [line for line in lines if line["stage"] == stage] for stage in ("start", "val", "test")}


def check_success(status: dict[str, Any], storage: Storage, world_size: int, epochs: int = 2, begun: int = 1) -> None:
    """A status says what the trainer recorded, and what it left is whole; ``begun`` is how often its ranks began."""
    recorded = metrics_of(storage)
    best = max(recorded["val"], key=lambda line: line["top1"])
    (test,) = recorded["test"]
    assert [line["worldSize"] for line in recorded["start"]] == [world_size] * begun
    assert [line["epoch"] for line in recorded["val"]] == list(range(1, epochs + 1))
    assert (status["results"]["val"]["top1"], status["results"]["val"]["top5"]) == (best["top1"], best["top5"])
    assert (status["results"]["test"]["top1"], status["results"]["test"]["top5"]) == (test["top1"], test["top5"])
    assert status["progress"]["best"]["top1"] == round(best["top1"], 4)
    assert status["progress"]["epoch"] == status["progress"]["epochs"] == epochs
    assert verify(storage) == []
    assert hashlib.sha256(storage.read("manifest.json")).hexdigest() == status["results"]["manifestSHA256"]
