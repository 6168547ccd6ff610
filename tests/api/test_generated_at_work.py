"""A controller at work on jobs by lot, and on the most hostile ones that the API server takes: none stops it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mmaction_operator.kube.reading import read
from mmaction_operator.plan import names
from tests.cluster.control_plane import ControlPlane, pods_complete, start_control_plane
from tests.drawn import draw
from tests.drawn.hostile import MEGABYTE, TEXTS
from tests.trainjob_cases import changed

from .conftest import CRD, jobs
from .controllers import a_controller, wait_until

NAMESPACE = "generated"
BY_LOT = range(20_000, 20_300)
LAST = "an-ordinary-job"
DEEP = "[" * 5000 + "]" * 5000
"""What an API server takes where no schema says what is right, and Python's JSON reader does not."""


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """A control plane that serves TrainJobs, whose pods succeed as soon as they run."""
    with pods_complete({names.MANAGED_BY: names.MANAGER}) as ending, start_control_plane(ending) as plane:
        plane.server.define(CRD)
        plane.add_fake_nodes(4)
        plane.server.make_namespace(NAMESPACE)
        yield plane


def hostile() -> Iterator[dict[str, Any]]:
    """Jobs with hostile texts where any is taken, with the longest, the deepest, and what is no part of a pod."""
    text = [text for text in TEXTS if text]
    yield {"spec.pods": {"annotations": {f"mmaction.dev/n{at}": each for at, each in enumerate(text[:30])}}}
    yield {"spec.pods": {"env": [{"name": f"A{at}", "value": each} for at, each in enumerate(text[30:90])]}}
    for each in text[::4]:
        yield {"spec.pods": {"env": [{"name": "A", "value": each}], "tolerations": [{"key": each[:300], "value": "a"}]}}
        yield {"spec.overrides": {"default_hooks": {"logger": {"out_suffix": [each]}}}, "spec.preflight": False}
        yield {"spec.overrides": {each: each}}
    yield {"spec.storage.uri": f"s3://results/{'a' * 1011}", "spec.preflight": False}
    yield {"spec.dataset.uri": f"s3://data/{'../' * 300}"}
    yield {"spec.overrides": {"log_level": MEGABYTE}}
    yield {"spec.overrides": {MEGABYTE: 1}}
    yield {"spec.overrides": {"model": {"backbone": {"type": ["os.system"] * 50_000}}}}
    yield {"spec.overrides": {"log_level": "deep"}}
    yield {"spec.pods": {"affinity": {"nodeAffinity": "deep"}}}
    no_affinity = {"affinity": {"podAntiAffinity": [1], "nodeAffinity": None}}
    yield {"spec.pods": no_affinity, "spec.resources": {"nodes": 2}, "spec.preflight": False}


def written() -> Iterator[str]:
    """The texts of the jobs, each with a name of its own, and with pods that fit on a few nodes."""
    for number, changes in enumerate(hostile()):
        manifest = changed(changes | {"metadata.name": f"hostile-{number}", "metadata.namespace": NAMESPACE})
        yield json.dumps(manifest).replace('"deep"', DEEP)
    for number in BY_LOT:
        drawn = draw(number)
        if not drawn.spoilt:
            manifest = json.loads(drawn.text)
            manifest["metadata"] = {"name": f"drawn-{number}", "namespace": NAMESPACE}
            manifest["spec"].get("resources", {}).pop("nodes", None)
            manifest["spec"].pop("managedBy", None)
            yield json.dumps(manifest)


def test_every_job_gets_a_status_and_the_controller_goes_on(plane: ControlPlane, tmp_path: Path) -> None:
    lines, log = plane.server.pool(), tmp_path / "log"

    def create(text: str) -> bool:
        answer = lines.request("POST", jobs(NAMESPACE), body=text, headers={"Content-Type": "application/json"})
        return answer.status == 201

    def phases() -> dict[str, str]:
        listed = read(lines.request("GET", jobs(NAMESPACE)).data)["items"]
        return {item["metadata"]["name"]: item.get("status", {}).get("phase", "") for item in listed}

    assert sum(map(create, written())) > 120
    with a_controller(plane.server.kubeconfig, log):
        assert create(json.dumps(changed({"metadata.name": LAST})))
        wait_until(lambda: phases()[LAST] == "Succeeded", within=90)
        wait_until(lambda: all(phases().values()), within=60)
    assert set(phases().values()) >= {"Succeeded", "Failed", "Pending", "Suspended"}
    assert not re.search("Traceback|failed [3-9] times in a row", log.read_text())
