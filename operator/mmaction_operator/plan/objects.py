"""The objects that an attempt is made of: a ConfigMap with what it is told, a Job, and for several nodes a Service.

Each is whole: server-side apply makes what exists like it, and an owner reference has it removed with the TrainJob.
"""

from __future__ import annotations

from typing import Any

from mmaction_operator.api import TrainJob
from mmaction_operator.api.trainjob import API_VERSION, KIND
from mmaction_operator.render import Rendered
from mmaction_trainer.contract import pod as environment
from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.run import Rendezvous

from . import names
from .run import identity_of, run_of
from .settings import Settings

Object = dict[str, Any]

CONFIG, RUN, CACHE, TMP = "/etc/trainjob", "/run/trainjob", "/var/cache/trainjob", "/tmp"
TOKEN = "/var/run/secrets/mmaction.dev"
"""Where a pod finds its config and token, and where it may write."""
GRACE = 120
"""Seconds that a pod has to leave a checkpoint in storage when it is taken away."""
TOKEN_SECONDS = 3600
USER = 65532


def objects_of(job: TrainJob, rendered: Rendered, attempt: int, port: int, settings: Settings) -> list[Object]:
    """Everything that should exist for an attempt, in the order in which it is to be made."""
    found = [config_map(job, rendered, attempt, port), job_of(job, attempt, port, settings)]
    if attempt != names.PREFLIGHT and job.spec.resources.nodes > 1:
        found.insert(1, service(job))
    return found


def metadata(job: TrainJob, name: str, attempt: int) -> Object:
    """Name, labels and owner of an object of a job."""
    assert job.metadata.uid, "a job in a cluster has a uid"
    owner = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": job.metadata.name,
        "uid": job.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "name": name,
        "namespace": job.metadata.namespace,
        "labels": names.labels(job.metadata.name, job.metadata.uid, attempt),
        "ownerReferences": [owner],
    }


def config_map(job: TrainJob, rendered: Rendered, attempt: int, port: int) -> Object:
    """``config.py`` and ``run.json`` of an attempt."""
    name = names.attempt_name(job.metadata.name, attempt)
    meeting = Rendezvous(host=rendezvous_host(job, attempt), port=port)
    told = run_of(job, rendered, identity_of(job, attempt), meeting)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(job, name, attempt),
        "immutable": True,
        "data": {layout.CONFIG: rendered.text, layout.RUN: told.to_json()},
    }


def rendezvous_host(job: TrainJob, attempt: int) -> str:
    """Where the ranks meet: the first pod's name, or where all are in one pod its own address."""
    if job.spec.resources.nodes == 1 or attempt == names.PREFLIGHT:
        return "127.0.0.1"
    pod = f"{names.attempt_name(job.metadata.name, attempt)}-0"
    return f"{pod}.{names.service_name(job.metadata.name)}.{job.metadata.namespace}.svc"


def service(job: TrainJob) -> Object:
    """Gives each pod a name; also to one that is not ready, as ranks meet before that."""
    described = metadata(job, names.service_name(job.metadata.name), names.PREFLIGHT)
    del described["labels"][names.ATTEMPT]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": described,
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {names.UID: job.metadata.uid},
        },
    }


def job_of(job: TrainJob, attempt: int, port: int, settings: Settings) -> Object:
    """An Indexed Job with a pod for each node. An attempt fails with its first pod: the next one is another Job."""
    described = metadata(job, names.attempt_name(job.metadata.name, attempt), attempt)
    described["annotations"] = {names.PORT: str(port)}
    pods = 1 if attempt == names.PREFLIGHT else job.spec.resources.nodes
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": described,
        "spec": {
            "completionMode": "Indexed",
            "completions": pods,
            "parallelism": pods,
            "backoffLimit": 0,
            "template": {
                "metadata": {"labels": described["labels"]},
                "spec": pod_of(job, attempt, port, settings),
            },
        },
    }


def pod_of(job: TrainJob, attempt: int, port: int, settings: Settings) -> Object:
    """The pod of one node: restricted, with nothing of the cluster but a token for the controller alone."""
    spec = job.spec
    preflight = attempt == names.PREFLIGHT
    pod: Object = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container(job, attempt, port, settings)],
        "volumes": volumes(job, attempt, settings),
    }
    if spec.pods.node_selector:
        pod["nodeSelector"] = dict(spec.pods.node_selector)
    if preflight:
        return pod
    if spec.pods.host_network:
        pod |= {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}
    if spec.resources.nodes > 1:
        pod |= {"subdomain": names.service_name(job.metadata.name), "affinity": apart(job, attempt)}
    return pod


def apart(job: TrainJob, attempt: int) -> Object:
    """Each pod of an attempt on a machine of its own: a node is what ``nodes`` counts."""
    mine = {"matchLabels": {names.UID: job.metadata.uid, names.ATTEMPT: str(attempt)}}
    term = {"labelSelector": mine, "topologyKey": "kubernetes.io/hostname"}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def container(job: TrainJob, attempt: int, port: int, settings: Settings) -> Object:
    """The launcher."""
    spec = job.spec
    preflight = attempt == names.PREFLIGHT
    words = ["mmaction-trainer", *(["--preflight"] if preflight else []), "--from", CONFIG, RUN]
    made: Object = {
        "name": "trainer",
        "image": spec.pods.image or settings.trainer_image,
        "command": words,
        "env": [{"name": name, "value": value} for name, value in variables(settings).items()],
        "resources": resources(job, preflight),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts(settings),
    }
    if settings.pull_policy:
        made["imagePullPolicy"] = settings.pull_policy
    if spec.storage.credentials_secret:
        made["envFrom"] = [{"secretRef": {"name": spec.storage.credentials_secret}}]
    if not preflight:
        declared: Object = {"name": "rendezvous", "containerPort": port, "protocol": "TCP"}
        if spec.pods.host_network:
            declared["hostPort"] = port
        made["ports"] = [declared]
    return made


def variables(settings: Settings) -> dict[str, str]:
    """The launcher's environment beside the user's secret."""
    found = {
        environment.CACHE: CACHE,
        environment.TERMINATION_LOG: "/dev/termination-log",
    }
    if settings.progress_url:
        found |= {environment.PROGRESS_URL: settings.progress_url, environment.PROGRESS_TOKEN_FILE: f"{TOKEN}/token"}
    return found


def resources(job: TrainJob, preflight: bool) -> Object:
    """What a pod asks for, and is held to: GPUs and memory; of CPU it may use more than it asks for."""
    if preflight:
        return {"requests": {"cpu": "100m", "memory": "512Mi"}}
    asked = job.spec.resources
    limits: Object = {"nvidia.com/gpu": str(asked.gpus_per_node)} if asked.gpus_per_node else {}
    requests: Object = {"cpu": asked.cpus_per_node} if asked.cpus_per_node else {}
    if asked.memory_per_node:
        limits["memory"] = requests["memory"] = asked.memory_per_node
    return {"limits": limits, "requests": requests}


def mounts(settings: Settings) -> list[Object]:
    """Where a container sees its volumes."""
    found = [("config", CONFIG), ("run", RUN), ("cache", CACHE), ("tmp", TMP), ("shm", "/dev/shm")]
    if settings.progress_url:
        found.append(("token", TOKEN))
    return [{"name": name, "mountPath": path} for name, path in found]


def volumes(job: TrainJob, attempt: int, settings: Settings) -> list[Object]:
    """A pod's volumes. Shared memory is as large as the pod's own: data loaders hand clips over in it."""
    found: list[Object] = [
        {"name": "config", "configMap": {"name": names.attempt_name(job.metadata.name, attempt)}},
        *({"name": name, "emptyDir": {}} for name in ("run", "cache", "tmp")),
        {"name": "shm", "emptyDir": {"medium": "Memory"}},
    ]
    if settings.progress_url:
        token = {"path": "token", "audience": settings.audience, "expirationSeconds": TOKEN_SECONDS}
        found.append({"name": "token", "projected": {"sources": [{"serviceAccountToken": token}]}})
    return found
