"""No field of a TrainJob that changes nothing: of what users may write, something is made.

A new field needs a line here: a value that the smallest job has not got, and what else has to be so for it to matter.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from mmaction_operator.api import TrainJob, parse
from mmaction_operator.api.fields import APIModel
from mmaction_operator.plan import Settings, objects_of
from mmaction_operator.render import render
from tests.trainjob_cases import CASES, changed

CSV = {"dataset": {"uri": "s3://d", "format": "csv", "numClasses": 9}}
VALUES: dict[str, tuple[Any, dict[str, Any]]] = {
    "model.config": ("tsm_imagenet-pretrained-mobilenetv2_8xb16-1x1x8-100e_kinetics400-rgb", {}),
    "model.pretrained": ("none", {}),
    "dataset.uri": ("s3://elsewhere", {}),
    "dataset.format": ("folders", CSV),
    "dataset.split": (2, {}),
    "dataset.numClasses": (7, {}),
    "dataset.lists.train": ("other.csv", CSV),
    "dataset.lists.val": ("other.csv", CSV),
    "dataset.lists.test": ("other.csv", CSV),
    "dataset.videos": ("clips", CSV),
    "dataset.decode": ("all", {}),
    "dataset.leakage": ("warn", {}),
    "dataset.corruptVideos": ("skip", {}),
    "dataset.maxSkippedShare": (0.5, {"dataset.corruptVideos": "skip"}),
    "input.frames": (64, {}),
    "input.frameInterval": (4, {}),
    "input.cropSize": (192, {}),
    "input.shortSide": (240, {}),
    "training.epochs": (7, {}),
    "training.batchSizePerGPU": (6, {}),
    "training.lr": (0.007, {}),
    "training.precision": ("bf16", {}),
    "training.seed": (7, {}),
    "training.valInterval": (7, {}),
    "training.checkpointInterval": (7, {}),
    "training.checkpointIterations": (7, {}),
    "training.keepCheckpoints": (7, {}),
    "training.workers": (7, {}),
    "evaluation.clips": (7, {}),
    "evaluation.crops": (1, {}),
    "evaluation.only": (True, {"model.pretrained": "s3://weights/mine.pth"}),
    "resources.nodes": (2, {}),
    "resources.gpusPerNode": (2, {}),
    "resources.processesPerNode": (2, {"resources": {"gpusPerNode": 0}}),
    "resources.cpusPerNode": ("7", {}),
    "resources.memoryPerNode": ("7Gi", {}),
    "storage.uri": ("s3://elsewhere", {}),
    "storage.credentialsSecret": ("keys", {}),
    "resume": ("Never", {}),
    "trackers": (["tensorboard"], {}),
    "pods.image": ("trainer:v7", {}),
    "pods.imagePullSecrets": ([{"name": "registry"}], {}),
    "pods.hostNetwork": (True, {}),
    "pods.nodeSelector": ({"pool": "a"}, {}),
    "pods.tolerations": ([{"key": "a"}], {}),
    "pods.affinity": ({"nodeAffinity": {}}, {}),
    "pods.topologySpreadConstraints": ([{"maxSkew": 1}], {}),
    "pods.priorityClassName": ("high", {}),
    "pods.schedulerName": ("gang", {}),
    "pods.runtimeClassName": ("nvidia", {}),
    "pods.serviceAccountName": ("trainer", {}),
    "pods.env": ([{"name": "A", "value": "a"}], {}),
    "pods.labels": ({"team": "a"}, {}),
    "pods.annotations": ({"note": "a"}, {}),
    "pods.cache.persistentVolumeClaim": ("videos", {}),
    "pods.cache.hostPath": ("/videos", {}),
    "pods.cache.limit": ("7Gi", {"pods": {"cache": {"hostPath": "/videos"}}}),
    "overrides": ({"optim_wrapper": {"accumulative_counts": 4}}, {}),
}
OF_THE_CONTROLLER = {
    *("preflight", "backoffLimit", "suspend", "activeDeadlineSeconds", "ttlSecondsAfterFinished", "managedBy")
}
"""Of these nothing is made: they say what the controller does, which is seen in tests/api."""


def declared(model: type[APIModel], path: str = "") -> Iterator[str]:
    """Paths of the fields that are no objects with fields of their own."""
    for name, field in model.model_fields.items():
        where = f"{path}.{field.alias or name}".strip(".")
        kinds = (field.annotation, *getattr(field.annotation, "__args__", ()))
        inner = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, APIModel)), None)
        if inner is None or getattr(field.annotation, "__origin__", None) is list:
            yield where
        else:
            yield from declared(inner, where)


def made_of(spec: dict[str, Any]) -> str:
    """All that is made of a job with these fields: its config, and the objects that train it."""
    manifest = changed({f"spec.{path}": value for path, value in spec.items()})
    manifest["metadata"]["uid"] = "0a1b-2c3d"
    job = parse(manifest)
    rendered = render(job)
    return rendered.text + json.dumps(objects_of(job, rendered, 1, 20001, Settings(trainer_image="trainer:v1")))


@pytest.mark.parametrize("field", VALUES)
def test_something_is_made_of_a_field(field: str) -> None:
    value, beside = VALUES[field]
    assert made_of(beside | {field: value}) != made_of(beside)


def test_every_field_of_the_spec_is_one_of_these() -> None:
    spec = TrainJob.model_fields["spec"].annotation
    assert spec
    assert set(declared(spec)) == VALUES.keys() | OF_THE_CONTROLLER


def test_every_field_of_the_spec_is_in_the_case_of_every_field() -> None:
    def given(node: Any, path: str = "") -> Iterator[str]:
        yield path
        for name, value in node.items() if isinstance(node, dict) else ():
            yield from given(value, f"{path}.{name}".strip("."))

    case = next(case["set"] for case in CASES["accepted"] if case["name"] == "every field")
    written = {found for key, value in case.items() for found in given(value, key.removeprefix("spec."))}
    spec = TrainJob.model_fields["spec"].annotation
    assert spec
    of_the_smallest_job = {"model.config", "storage.uri"}
    assert set(declared(spec)) - written - of_the_smallest_job == {"pods.cache.hostPath"}  # its rule wants one of two
