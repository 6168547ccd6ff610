"""The objects of a job: a ConfigMap with what its attempts are told, for several nodes a Service, and an attempt's Job.

The preflight is a pod. None of them changes once it is made, so each is made whole, by a name that says what it is, and
one that is there already is left alone. An owner reference has it removed with the TrainJob.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmaction_operator.api import TrainJob
from mmaction_operator.api.pods import CacheSpec
from mmaction_operator.api.trainjob import API_VERSION, KIND
from mmaction_operator.render import Rendered
from mmaction_trainer.contract import pod as environment
from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.errors import Interrupted
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
PREFLIGHT_SECONDS = 3600
"""How long a preflight may run: one that hangs must not look like one that is slow for ever."""
USER = 65532
TAKEN_AWAY = [
    {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [Interrupted.exit_code]}},
]
"""Pods that something other than their work ended. Such a pod is soon gone, and with it what it said: so its Job says
it, by a reason of its own (``failures.BY_POLICY``)."""
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
AS_IN_A_POD = {
    *("image_pull_secrets", "node_selector", "tolerations", "affinity"),
    *("priority_class_name", "scheduler_name", "runtime_class_name", "service_account_name"),
}
"""Fields of ``spec.pods`` that a pod has too."""


def objects_of(
    job: TrainJob, rendered: Rendered, attempt: int, port: int, settings: Settings, seconds: int | None = None
) -> list[Object]:
    """Everything that should exist for an attempt, in the order in which it is to be made.

    Args:
        seconds: for how long the attempt may train. Default: for as long as it wants.
    """
    told = config_map(job, rendered)
    if attempt == names.PREFLIGHT:
        return [told, preflight_pod(job, settings)]
    services = [service(job)] if job.spec.resources.nodes > 1 else []
    return [told, *services, job_of(job, attempt, port, settings, seconds)]


def shared_by_attempts(job: TrainJob) -> list[tuple[str, str]]:
    """Kinds and names of what all attempts use."""
    services = [("Service", names.service_name(job.metadata.name))] if job.spec.resources.nodes > 1 else []
    return [("ConfigMap", config_name(job)), *services]


def metadata(job: TrainJob, name: str, attempt: int | None = None) -> Object:
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


def config_map(job: TrainJob, rendered: Rendered) -> Object:
    """``config.py`` and ``run.json``; attempt and rendezvous of the latter are what the preflight has, which is none.

    An attempt's own come with its command line.
    """
    told = run_of(job, rendered, identity_of(job, names.PREFLIGHT), Rendezvous(port=0))
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(job, config_name(job)),
        "immutable": True,
        "data": {layout.CONFIG: rendered.text, layout.RUN: told.to_json()},
    }


def config_name(job: TrainJob) -> str:
    """Name of a job's ConfigMap."""
    return names.config_name(job.metadata.name, job.metadata.uid or "")


def rendezvous_host(job: TrainJob, attempt: int) -> str:
    """Where the ranks meet: the first pod's name, or where all are in one pod its own address."""
    if job.spec.resources.nodes == 1:
        return "127.0.0.1"
    pod = f"{names.attempt_name(job.metadata.name, attempt)}-0"
    return f"{pod}.{names.service_name(job.metadata.name)}.{job.metadata.namespace}.svc"


def service(job: TrainJob) -> Object:
    """Gives each pod a name; also to one that is not ready, as ranks meet before that."""
    described = metadata(job, names.service_name(job.metadata.name))
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


def job_of(job: TrainJob, attempt: int, port: int, settings: Settings, seconds: int | None) -> Object:
    """An Indexed Job with a pod for each node. An attempt fails with its first pod: the next one is another Job."""
    described = metadata(job, names.attempt_name(job.metadata.name, attempt), attempt)
    described["annotations"] = {names.PORT: str(port)}
    pods = job.spec.resources.nodes
    queued = {key: value for key, value in job.metadata.labels.items() if key.startswith(names.KUEUE)}
    held = {"suspend": True} if names.QUEUE in queued else {}  # until Kueue admits it
    limit = {} if seconds is None else {"activeDeadlineSeconds": seconds}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": described | {"labels": {**queued, **described["labels"]}},
        "spec": {
            **held,
            **limit,
            "completionMode": "Indexed",
            "completions": pods,
            "parallelism": pods,
            "backoffLimit": 0,
            "podFailurePolicy": {"rules": TAKEN_AWAY},
            # A pod that is suspended and admitted again must not meet the world that it left.
            "podReplacementPolicy": "Failed",
            "template": {
                "metadata": pod_metadata(job, described),
                "spec": training_pod(job, attempt, port, settings),
            },
        },
    }


def preflight_pod(job: TrainJob, settings: Settings) -> Object:
    """The pod that checks, before one is made that holds GPUs."""
    launcher = container(job, ["--preflight"], settings)
    launcher["resources"] = {"requests": {"cpu": "100m", "memory": "1Gi"}}
    described = metadata(job, names.attempt_name(job.metadata.name, names.PREFLIGHT), names.PREFLIGHT)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": described | pod_metadata(job, described),
        "spec": {**pod_of(job, launcher, settings), "activeDeadlineSeconds": PREFLIGHT_SECONDS},
    }


def training_pod(job: TrainJob, attempt: int, port: int, settings: Settings) -> Object:
    """The pod of one node of an attempt."""
    host = rendezvous_host(job, attempt)
    launcher = container(job, [f"--attempt={attempt}", f"--rendezvous={host}:{port}"], settings)
    launcher["resources"] = resources(job)
    declared: Object = {"name": "rendezvous", "containerPort": port, "protocol": "TCP"}
    launcher["ports"] = [declared]
    pod = pod_of(job, launcher, settings)
    if job.spec.pods.host_network:
        declared["hostPort"] = port
        pod |= {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}
    if job.spec.pods.topology_spread_constraints:
        pod["topologySpreadConstraints"] = job.spec.pods.topology_spread_constraints
    if job.spec.resources.nodes > 1:
        pod["subdomain"] = names.service_name(job.metadata.name)
        pod["affinity"] = apart(job, attempt, job.spec.pods.affinity or {})
    return pod


def pod_metadata(job: TrainJob, owner: Object) -> Object:
    """Labels and annotations of a pod: the user's, and those of what it belongs to."""
    found: Object = {"labels": {**job.spec.pods.labels, **owner["labels"]}}
    if job.spec.pods.annotations:
        found["annotations"] = dict(job.spec.pods.annotations)
    return found


def pod_of(job: TrainJob, launcher: Object, settings: Settings) -> Object:
    """A pod with the launcher: restricted, with nothing of the cluster but a token for the controller alone."""
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
        "containers": [launcher],
        "volumes": volumes(job, settings),
    }
    return pod | job.spec.pods.model_dump(mode="json", by_alias=True, include=AS_IN_A_POD, exclude_defaults=True)


def apart(job: TrainJob, attempt: int, others: Mapping[str, Any]) -> Object:
    """Each pod of an attempt on a machine of its own: a node is what ``nodes`` counts. Beside other affinities.

    What is no affinity at all is passed on as it is: the API server says so when the Job is made.
    """
    mine = {"matchLabels": {names.UID: job.metadata.uid, names.ATTEMPT: str(attempt)}}
    term = {"labelSelector": mine, "topologyKey": "kubernetes.io/hostname"}
    found = others.get("podAntiAffinity") or {}
    required = (found.get(REQUIRED) or []) if isinstance(found, dict) else None
    if not isinstance(required, list):
        return dict(others)
    return {**others, "podAntiAffinity": {**found, REQUIRED: [*required, term]}}


def container(job: TrainJob, words: list[str], settings: Settings) -> Object:
    """The launcher, told what to do by the words of its command line."""
    made: Object = {
        "name": "trainer",
        "image": job.spec.pods.image or settings.trainer_image,
        "command": ["mmaction-trainer", *words, "--from", CONFIG, RUN],
        "env": [
            *job.spec.pods.model_dump(mode="json", by_alias=True, exclude_none=True)["env"],
            *({"name": name, "value": value} for name, value in variables(job, settings).items()),
        ],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts(settings),
    }
    if settings.pull_policy:
        made["imagePullPolicy"] = settings.pull_policy
    if job.spec.storage.credentials_secret:
        made["envFrom"] = [{"secretRef": {"name": job.spec.storage.credentials_secret}}]
    return made


def variables(job: TrainJob, settings: Settings) -> dict[str, str]:
    """The launcher's environment beside the user's secret."""
    found = {
        environment.CACHE: CACHE,
        environment.TERMINATION_LOG: "/dev/termination-log",
    }
    if job.spec.pods.cache and job.spec.pods.cache.limit:
        found[environment.CACHE_LIMIT] = job.spec.pods.cache.limit
    if settings.progress_url:
        found |= {environment.PROGRESS_URL: settings.progress_url, environment.PROGRESS_TOKEN_FILE: f"{TOKEN}/token"}
    return found


def resources(job: TrainJob) -> Object:
    """What a pod asks for, and is held to: GPUs and memory; of CPU it may use more than it asks for."""
    asked = job.spec.resources
    limits: Object = {"nvidia.com/gpu": str(asked.gpus_per_node)} if asked.gpus_per_node else {}
    requests: Object = {"cpu": asked.cpus_per_node} if asked.cpus_per_node else {}
    if asked.memory_per_node:
        limits["memory"] = requests["memory"] = asked.memory_per_node
    return {"limits": limits, "requests": requests}


def cache(asked: CacheSpec | None) -> Object:
    """What the folder of videos and checkpoints is on."""
    if asked is None:
        return {"emptyDir": {}}
    if asked.persistent_volume_claim:
        return {"persistentVolumeClaim": {"claimName": asked.persistent_volume_claim}}
    return {"hostPath": {"path": asked.host_path, "type": "DirectoryOrCreate"}}


def mounts(settings: Settings) -> list[Object]:
    """Where a container sees its volumes."""
    found = [("config", CONFIG), ("run", RUN), ("cache", CACHE), ("tmp", TMP), ("shm", "/dev/shm")]
    if settings.progress_url:
        found.append(("token", TOKEN))
    return [{"name": name, "mountPath": path} for name, path in found]


def volumes(job: TrainJob, settings: Settings) -> list[Object]:
    """A pod's volumes. Shared memory is as large as the pod's own: data loaders hand clips over in it."""
    found: list[Object] = [
        {"name": "config", "configMap": {"name": config_name(job)}},
        *({"name": name, "emptyDir": {}} for name in ("run", "tmp")),
        {"name": "cache", **cache(job.spec.pods.cache)},
        {"name": "shm", "emptyDir": {"medium": "Memory"}},
    ]
    if settings.progress_url:
        token = {"path": "token", "audience": settings.audience, "expirationSeconds": TOKEN_SECONDS}
        found.append({"name": "token", "projected": {"sources": [{"serviceAccountToken": token}]}})
    return found
