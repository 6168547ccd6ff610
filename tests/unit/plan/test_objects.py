"""The objects of an attempt: whole, restricted, named for the job, and nothing in them that should not be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mmaction_operator.plan import Settings, names, objects_of
from mmaction_operator.render import Rendered
from mmaction_trainer.contract.run import Rendezvous, Run
from mmaction_trainer.launch.commandline import options_of

from .conftest import a_job


def made(rendered: Rendered, settings: Settings, attempt: int = 1, **changes: Any) -> dict[str, dict[str, Any]]:
    """Objects by kind."""
    return {item["kind"]: item for item in objects_of(a_job(**changes), rendered, attempt, 20001, settings)}


def pod(rendered: Rendered, settings: Settings, attempt: int = 1, **changes: Any) -> dict[str, Any]:
    """Spec of an attempt's pods."""
    items = made(rendered, settings, attempt, **changes)
    owner = items["Job"]["spec"]["template"] if attempt else items["Pod"]
    spec: dict[str, Any] = owner["spec"]
    return spec


def container(rendered: Rendered, settings: Settings, attempt: int = 1, **changes: Any) -> dict[str, Any]:
    (only,) = pod(rendered, settings, attempt, **changes)["containers"]
    found: dict[str, Any] = only
    return found


def test_all_belong_to_the_job_and_go_with_it(rendered: Rendered, settings: Settings) -> None:
    for item in made(rendered, settings, resources={"nodes": 2}).values():
        (owner,) = item["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["controller"], owner["kind"]) == ("0a1b-2c3d", True, "TrainJob")
        assert item["metadata"]["namespace"] == "team-a"
        assert item["metadata"]["labels"][names.JOB] == "slowfast-ucf101"


def test_the_same_job_and_attempt_give_the_same_bytes(rendered: Rendered, settings: Settings) -> None:
    first, again = (json.dumps(made(rendered, settings)) for _ in range(2))
    assert first == again


def test_what_an_attempt_is_told_is_what_the_trainer_reads(rendered: Rendered, settings: Settings) -> None:
    data = made(rendered, settings, attempt=3)["ConfigMap"]["data"]
    run = Run.model_validate_json(data["run.json"])
    assert data["config.py"] == rendered.text
    assert (run.config_sha256, run.job.uid) == (rendered.sha256, "0a1b-2c3d")
    assert run.results_uri == "s3://results/team-a/team-a/slowfast-ucf101/0a1b-2c3d"
    options = options_of(container(rendered, settings, attempt=3)["command"][1:])
    assert (options.attempt, options.rendezvous, options.preflight) == (3, Rendezvous(port=20001), False)
    assert options_of(container(rendered, settings, attempt=0)["command"][1:]).preflight


def test_every_attempt_reads_the_same_config_and_no_other_jobs(rendered: Rendered, settings: Settings) -> None:
    first, second = (made(rendered, settings, attempt)["ConfigMap"] for attempt in (0, 2))
    assert first == second
    assert names.config_name("a", "uid-1") != names.config_name("a", "uid-2")
    for attempt in (0, 1):
        (volume,) = [v for v in pod(rendered, settings, attempt)["volumes"] if v["name"] == "config"]
        assert volume["configMap"]["name"] == first["metadata"]["name"]


def test_one_node_meets_at_home_and_several_at_the_first_pods_name(rendered: Rendered, settings: Settings) -> None:
    one, two = made(rendered, settings), made(rendered, settings, resources={"nodes": 2})
    assert "--rendezvous=127.0.0.1:20001" in json.dumps(one["Job"])
    assert "Service" not in one
    assert "--rendezvous=slowfast-ucf101-1-0.slowfast-ucf101.team-a.svc:20001" in json.dumps(two["Job"])
    assert (
        two["Service"]["metadata"]["name"] == two["Job"]["spec"]["template"]["spec"]["subdomain"] == "slowfast-ucf101"
    )
    assert two["Service"]["spec"]["publishNotReadyAddresses"] is True


def test_a_job_has_a_pod_for_each_node_each_on_a_machine_of_its_own(rendered: Rendered, settings: Settings) -> None:
    job = made(rendered, settings, resources={"nodes": 3})["Job"]["spec"]
    assert (job["completions"], job["parallelism"], job["completionMode"], job["backoffLimit"]) == (3, 3, "Indexed", 0)
    assert job["template"]["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]


def test_preflight_asks_for_no_gpu_whatever_the_job_asks_for(rendered: Rendered, settings: Settings) -> None:
    asked = {"nodes": 4, "gpusPerNode": 8, "memoryPerNode": "512Gi"}
    items = made(rendered, settings, attempt=0, resources=asked, pods={"hostNetwork": True})
    assert set(items) == {"ConfigMap", "Pod"}
    spec = items["Pod"]["spec"]
    assert spec["activeDeadlineSeconds"] > 0
    assert "nvidia.com/gpu" not in json.dumps(spec)
    assert "hostNetwork" not in spec
    assert "--preflight" in spec["containers"][0]["command"]


def test_a_training_pod_asks_for_what_the_job_says(rendered: Rendered, settings: Settings) -> None:
    asked = {"gpusPerNode": 4, "cpusPerNode": "16", "memoryPerNode": "64Gi"}
    assert container(rendered, settings, resources=asked)["resources"] == {
        "limits": {"nvidia.com/gpu": "4", "memory": "64Gi"},
        "requests": {"cpu": "16", "memory": "64Gi"},
    }


def test_the_port_is_a_host_port_only_on_the_nodes_network(rendered: Rendered, settings: Settings) -> None:
    (own,) = container(rendered, settings)["ports"]
    (host,) = container(rendered, settings, pods={"hostNetwork": True})["ports"]
    assert (own["containerPort"], "hostPort" in own) == (20001, False)
    assert (host["containerPort"], host["hostPort"]) == (20001, 20001)
    assert pod(rendered, settings, pods={"hostNetwork": True})["dnsPolicy"] == "ClusterFirstWithHostNet"


def test_pods_are_restricted_and_hold_no_token_of_the_api(rendered: Rendered, settings: Settings) -> None:
    for attempt in (0, 1):
        spec = pod(rendered, settings, attempt)
        (only,) = spec["containers"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert only["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        (token,) = [volume for volume in spec["volumes"] if volume["name"] == "token"]
        (source,) = token["projected"]["sources"]
        assert source["serviceAccountToken"]["audience"] == "mmaction-operator"


def test_no_mount_lies_below_another(rendered: Rendered, settings: Settings) -> None:
    """``/var/run`` is ``/run`` in most images: a token below the run folder would make that read-only."""
    paths = [
        mount["mountPath"].replace("/var/run/", "/run/") + "/"
        for mount in container(rendered, settings)["volumeMounts"]
    ]
    assert not [(one, two) for one in paths for two in paths if one != two and one.startswith(two)]


def test_credentials_are_a_reference_and_never_a_value(rendered: Rendered, settings: Settings) -> None:
    storage = {"uri": "s3://results/x", "credentialsSecret": "s3-keys"}
    assert container(rendered, settings, storage=storage)["envFrom"] == [{"secretRef": {"name": "s3-keys"}}]
    assert "envFrom" not in container(rendered, settings)


def test_a_jobs_own_image_comes_before_the_installations(rendered: Rendered, settings: Settings) -> None:
    assert container(rendered, settings)["image"] == "trainer:v1"
    assert container(rendered, settings, pods={"image": "mine:v2"})["image"] == "mine:v2"


@pytest.mark.parametrize("length", [1, 45, 46, 63])
def test_a_pods_host_name_fits_whatever_the_jobs_name(length: int) -> None:
    name = "a" * length
    for attempt in (0, 1, 99_999):
        assert len(f"{names.attempt_name(name, attempt)}-1023") <= 63
    assert len(names.service_name(name)) <= 63
    assert len(names.config_name(name, "uid")) <= 63


def test_long_names_that_begin_alike_stay_apart() -> None:
    one, two = "a" * 50 + "b", "a" * 50 + "c"
    assert names.base_of(one) != names.base_of(two)


def test_pods_are_placed_and_named_as_the_job_asks(rendered: Rendered, settings: Settings) -> None:
    toleration = {"key": "nvidia.com/gpu", "operator": "Exists"}
    asked = {
        "imagePullSecrets": [{"name": "registry"}],
        "tolerations": [toleration],
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "priorityClassName": "research",
        "schedulerName": "volcano",
        "runtimeClassName": "nvidia",
        "serviceAccountName": "trainer",
    }
    spread = [{"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}]
    rest = {"topologySpreadConstraints": spread, "labels": {"team": "a"}, "annotations": {"note": "b"}}
    for attempt in (0, 1):
        spec = pod(rendered, settings, attempt, pods=asked | rest)
        assert {name: spec[name] for name in asked} == asked
        assert spec.get("topologySpreadConstraints") == (spread if attempt else None)
        assert not asked.keys() & pod(rendered, settings, attempt).keys()
    items = made(rendered, settings, 1, pods=rest)
    described = items["Job"]["spec"]["template"]["metadata"]
    assert described["annotations"] == {"note": "b"}
    assert described["labels"] == items["Job"]["metadata"]["labels"] | {"team": "a"}
    assert made(rendered, settings, 0, pods=rest)["Pod"]["metadata"]["labels"]["team"] == "a"


def test_nodes_stay_apart_beside_what_else_a_job_wants_near_or_far(rendered: Rendered, settings: Settings) -> None:
    term = {"topologyKey": "rack", "labelSelector": {"matchLabels": {"team": "b"}}}
    far = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}, "nodeAffinity": {}}
    affinity = pod(rendered, settings, resources={"nodes": 2}, pods={"affinity": far})["affinity"]
    first, second = affinity["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert (first, second["topologyKey"], affinity["nodeAffinity"]) == (term, "kubernetes.io/hostname", {})


def test_a_jobs_variables_stand_beside_the_products_and_never_before_them(
    rendered: Rendered, settings: Settings
) -> None:
    secret = {"secretKeyRef": {"name": "wandb", "key": "key"}}
    asked = [{"name": "NCCL_DEBUG", "value": "INFO"}, {"name": "WANDB_API_KEY", "valueFrom": secret}]
    for attempt in (0, 1):
        plain, given = (container(rendered, settings, attempt, pods=pods)["env"] for pods in ({}, {"env": asked}))
        assert given == asked + plain


@pytest.mark.parametrize(
    ("asked", "volume"),
    [
        (None, {"emptyDir": {}}),
        ({"persistentVolumeClaim": "videos"}, {"persistentVolumeClaim": {"claimName": "videos"}}),
        ({"hostPath": "/var/cache/x"}, {"hostPath": {"path": "/var/cache/x", "type": "DirectoryOrCreate"}}),
    ],
)
def test_videos_are_kept_where_the_job_says(
    rendered: Rendered, settings: Settings, asked: dict[str, str] | None, volume: dict[str, Any]
) -> None:
    for attempt in (0, 1):
        spec = pod(rendered, settings, attempt, pods={"cache": asked})
        assert {"name": "cache"} | volume in spec["volumes"]


def test_the_limit_of_a_cache_reaches_every_launcher(rendered: Rendered, settings: Settings) -> None:
    for attempt in (0, 1):
        for limit, told in ((None, []), ("200Gi", [{"name": "TRAINJOB_CACHE_LIMIT", "value": "200Gi"}])):
            found = container(rendered, settings, attempt, pods={"cache": {"hostPath": "/videos", "limit": limit}})
            assert [each for each in found["env"] if each["name"] == "TRAINJOB_CACHE_LIMIT"] == told


def test_an_attempt_may_train_for_as_long_as_is_left(rendered: Rendered, settings: Settings) -> None:
    for seconds in (None, 60):
        items = objects_of(a_job(), rendered, 1, 20001, settings, seconds)
        (spec,) = [item["spec"] for item in items if item["kind"] == "Job"]
        assert spec.get("activeDeadlineSeconds") == seconds


def test_a_job_in_a_queue_is_made_suspended_for_kueue_to_admit(rendered: Rendered, settings: Settings) -> None:
    labels = {names.QUEUE: "research", "kueue.x-k8s.io/priority-class": "high", "team": "a"}
    queued = a_job()
    queued = queued.model_copy(update={"metadata": queued.metadata.model_copy(update={"labels": labels})})
    (job,) = [item for item in objects_of(queued, rendered, 1, 20001, settings) if item["kind"] == "Job"]
    assert job["spec"]["suspend"] is True
    assert labels.items() - job["metadata"]["labels"].items() == {("team", "a")}
    plain = made(rendered, settings)["Job"]
    assert "suspend" not in plain["spec"]
    assert job["spec"]["template"]["metadata"] == plain["spec"]["template"]["metadata"]
    assert {item["spec"]["podReplacementPolicy"] for item in (job, plain)} == {"Failed"}


def test_a_job_tells_of_pods_that_were_taken_away_before_they_are_gone(rendered: Rendered, settings: Settings) -> None:
    disrupted, stopped = made(rendered, settings)["Job"]["spec"]["podFailurePolicy"]["rules"]
    assert disrupted["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
    assert stopped["onExitCodes"] == {"operator": "In", "values": [17]}
    assert {disrupted["action"], stopped["action"]} == {"FailJob"}


@pytest.mark.parametrize("wanted", [None, {}, {"requiredDuringSchedulingIgnoredDuringExecution": None}])
def test_nodes_stay_apart_where_a_job_says_nothing_of_that(wanted: Any, rendered: Rendered, settings: Settings) -> None:
    affinity = pod(rendered, settings, resources={"nodes": 2}, pods={"affinity": {"podAntiAffinity": wanted}})[
        "affinity"
    ]
    assert len(affinity["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]) == 1


@pytest.mark.parametrize("wanted", [["none"], "none", {"requiredDuringSchedulingIgnoredDuringExecution": "none"}])
def test_what_is_no_affinity_is_left_to_the_api_server(wanted: Any, rendered: Rendered, settings: Settings) -> None:
    affinity = pod(rendered, settings, resources={"nodes": 2}, pods={"affinity": {"podAntiAffinity": wanted}})[
        "affinity"
    ]
    assert affinity == {"podAntiAffinity": wanted}
