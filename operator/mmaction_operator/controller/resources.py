"""What the controller reads and writes."""

from __future__ import annotations

from collections.abc import Iterable

from mmaction_operator.api.trainjob import GROUP, KIND, PLURAL, VERSION
from mmaction_operator.kube import Key, Object, Resource
from mmaction_operator.plan import names

TRAINJOBS = Resource(GROUP, VERSION, PLURAL, KIND)
JOBS = Resource("batch", "v1", "jobs", "Job")
PODS = Resource("", "v1", "pods", "Pod")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
SERVICES = Resource("", "v1", "services", "Service")
TOKEN_REVIEWS = Resource("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", namespaced=False)

BY_KIND = {resource.kind: resource for resource in (JOBS, PODS, CONFIG_MAPS, SERVICES)}

BY_TRAINJOB, BY_UID = "uid of the TrainJob", "uid"
"""Indexes of pods."""


def trainjob_uid(item: Object) -> list[str]:
    """The uid of the TrainJob that an object belongs to, as its label says."""
    uid = item["metadata"].get("labels", {}).get(names.UID)
    return [uid] if uid else []


def own_uid(item: Object) -> list[str]:
    """An object's own uid."""
    return [item["metadata"]["uid"]]


def trainjob_of(item: Object) -> Iterable[Key]:
    """The TrainJob that an object belongs to, as its label says: a pod's owner is a Job."""
    name = item["metadata"].get("labels", {}).get(names.JOB)
    return [Key(item["metadata"]["namespace"], name)] if name else []
