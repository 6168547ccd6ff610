"""A reader who installs, trains, operates and removes the product by typing what the documentation says, all of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml

from examples.demo import clips
from tests.clips import CLIPS
from tests.cluster.clusters import Cluster
from tests.cluster.programs import cache_folder
from tests.documents import ROOT, WALKS, fences, type_in

from .jobs import SECRET, a_job, ended, until, with_credentials

_numbers = count()

ON_A_CLUSTER = [path for path, walk in WALKS.items() if walk.where == "cluster"]


class Reader:
    """Somebody with a folder, a shell, S3 keys, and a namespace for each document."""

    def __init__(self, cluster: Cluster, images: dict[str, str], folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        (folder / "home").mkdir()
        for name in ("charts", "examples"):
            (folder / name).symlink_to(ROOT / name)
        self.environment = {
            **os.environ,
            **cluster.s3.environment(),
            "HOME": str(folder / "home"),
            "PATH": f"{cache_folder()}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "S3_IN_PODS": cluster.s3_in_pods,
            "S3_FOLDER": str(cluster.s3.folder),
            "OPERATOR_IMAGE": images["operator"],
            "TRAINER_IMAGE": images["trainer"],
        }

    def namespace(self) -> str:
        """A namespace that this reader's commands are for from now on."""
        name = f"reader-{next(_numbers)}"
        self.cluster.server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        until(lambda: self.cluster.server.request("GET", account).status == 200)
        content = yaml.safe_load(self.cluster.server.kubeconfig.read_text())
        content["contexts"][0]["context"]["namespace"] = name
        (self.folder / "kubeconfig").write_text(yaml.safe_dump(content))
        self.environment |= {"KUBECONFIG": str(self.folder / "kubeconfig"), "NAMESPACE": name}
        return name

    def write(self, name: str, manifest: dict[str, Any]) -> None:
        """Write a file as YAML, without a namespace: the shell's is meant."""
        manifest = {**manifest, "metadata": {k: v for k, v in manifest["metadata"].items() if k != "namespace"}}
        (self.folder / name).write_text(yaml.safe_dump(manifest))

    def types(self, path: str) -> str:
        """What a document's commands print."""
        return type_in(path, self.folder, self.environment)


def check_board(board: dict[str, Any], namespace: str) -> None:
    """The training and the test of its checkpoint by other views are each in a table of their own protocol."""
    tables = {
        run["job"]: (table["protocol"]["clips"], table["protocol"]["crops"])
        for table in board["rankings"]
        for run in table["runs"]
        if run["job"].startswith(f"{namespace}/")
    }
    assert tables == {f"{namespace}/slowfast-ucf101": (1, 1), f"{namespace}/other-views": (2, 3)}


@pytest.fixture
def reader(cluster: Cluster, images: dict[str, str], data: str, tmp_path: Path) -> Iterator[Reader]:
    """A reader; ``data`` has made the buckets."""
    yield Reader(cluster, images, tmp_path)
    for name in cluster.server.kubectl("get", "namespaces", "--output=name").split():
        if name.startswith("namespace/reader-"):
            cluster.server.kubectl("delete", name, "--wait=false")


def test_the_documents_commands_typed_in_order_do_what_they_say(reader: Reader, cluster: Cluster) -> None:
    storage = {"uri": "s3://results/team-a", "credentialsSecret": SECRET}
    typed = []

    def types(path: str) -> str:
        typed.append(path)
        return reader.types(path)

    reader.namespace()
    assert "STATUS: pending-install" in types("charts/mmaction-operator/README.md")

    reader.write("job.yaml", a_job("slowfast-ucf101", "", "s3://datasets/actions", storage=storage))
    clips.build(CLIPS, reader.folder / "actions", train=2, test=1)
    (upload,) = fences("docs/cluster.md", "python")
    subprocess.run([sys.executable, "-c", upload], cwd=reader.folder, env=reader.environment, check=True)
    said = types("docs/cluster.md")
    assert "Succeeded" in said
    assert 'trainjob.mmaction.dev "slowfast-ucf101" deleted' in said
    assert (reader.folder / "slowfast-ucf101" / "manifest.json").is_file()
    (reader.folder / "slowfast-ucf101").rename(reader.folder / "first")

    with_credentials(cluster, reader.namespace())
    said = types("README.md")
    assert said.count("every object is as the manifest says") == 1
    assert "Succeeded" in said

    with_credentials(cluster, reader.namespace())
    again = a_job(
        "other-views", "", "s3://datasets/actions", storage=storage, evaluation={"only": True, "clips": 2, "crops": 3}
    )
    again["spec"]["model"]["pretrained"] = "CHECKPOINT"
    again["spec"]["training"] = {"workers": 0}
    reader.write("again.yaml", again)
    said = types("docs/guide.md")
    assert said.count("(server dry run)") == 3
    assert re.search(r"decoding +passed +18 of 18 videos decoded", said)
    check_board(json.loads((reader.folder / "board.json").read_text()), reader.environment["NAMESPACE"])
    assert (reader.folder / "slowfast" / "config.py").is_file()
    assert list(reader.folder.glob("*-demo.mp4"))

    namespace = with_credentials(cluster, reader.namespace())
    cluster.server.kubectl("delete", "secret", SECRET, f"--namespace={namespace}")
    keys = yaml.safe_load((ROOT / "examples" / "s3-credentials.yaml").read_text())
    filled = {"AWS_ENDPOINT_URL": cluster.s3_in_pods, "AWS_ACCESS_KEY_ID": cluster.s3.access_key}
    keys["stringData"] |= filled | {"AWS_SECRET_ACCESS_KEY": cluster.s3.secret_key}
    reader.write("keys.yaml", keys)
    types("examples/README.md")
    cpu = yaml.safe_load((ROOT / "examples" / "cpu.yaml").read_text())
    cpu["metadata"]["namespace"] = namespace
    assert ended(cluster, cpu)["status"]["phase"] == "Succeeded"

    reader.namespace()
    said = types("docs/security.md")
    assert "trainjobs.mmaction.dev" in said
    assert "secrets" not in said

    reader.namespace()
    (reader.folder / "defaults.yaml").write_text(fences("docs/operations.md", "yaml")[0])
    said = types("docs/operations.md")
    assert "Rollback was a success" in said
    assert 'release "mmaction" uninstalled' in said
    assert "kind: TrainJob" in (reader.folder / "trainjobs.yaml").read_text()

    typed.append("CONTRIBUTING.md")
    assert typed == ON_A_CLUSTER


def test_a_cluster_to_work_with_comes_and_goes_as_contributors_are_told() -> None:
    if (ROOT / ".cluster" / "env").exists():
        pytest.skip("the cluster of this checkout runs, and this test would end it")
    said = type_in("CONTRIBUTING.md", ROOT, os.environ, within=600)
    assert "node-2" in said
    assert "The cluster is gone." in said
