"""Objects that the tests make."""

from __future__ import annotations

from typing import Any

from mmaction_operator.kube import Key, Object, Resource

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
TRAIN_JOBS = Resource("mmaction.dev", "v1alpha1", "trainjobs", "TrainJob")


def config_map(namespace: str, name: str, **data: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": namespace, "name": name},
        "data": data,
    }


def train_job(key: Key, **parts: Any) -> Object:
    metadata = {"namespace": key.namespace, "name": key.name}
    return {"apiVersion": TRAIN_JOBS.api_version, "kind": TRAIN_JOBS.kind, "metadata": metadata, **parts}
