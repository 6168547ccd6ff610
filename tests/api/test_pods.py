"""Fields by which a job's pods fit into a shared cluster: each does what it promises, on a real scheduler and Job
controller. KWOK plays the nodes: two plain ones in racks a and b, and one with GPUs, tainted, in rack a."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.api_server import ApiServer
from tests.cluster.control_plane import EXIT, ControlPlane, fake_node, pods_end_when_told, start_control_plane
from tests.trainjob_cases import changed

from .conftest import CRD, jobs
from .controllers import a_controller, wait_until

NODES = {
    "plain-a": {"rack": "a"},
    "plain-b": {"rack": "b"},
    "gpus": {"rack": "a", "pool": "gpus"},
}
ROOM = {"cpu": "64", "memory": "512Gi", "pods": "250", "nvidia.com/gpu": "8"}
TAINT = {"key": "gpus-only", "effect": "NoSchedule"}
TOLERATION = {"key": "gpus-only", "operator": "Exists"}
ON_CPU = {"gpusPerNode": 0}

_numbers = itertools.count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """The API server of a control plane with a controller."""
    log = tmp_path_factory.mktemp("controller") / "log"
    with pods_end_when_told() as ending, start_control_plane(ending) as plane:
        plane.server.define(CRD)
        add_nodes(plane)
        with a_controller(plane.server.kubeconfig, log):
            yield plane.server


def add_nodes(plane: ControlPlane) -> None:
    for name, labels in NODES.items():
        node = fake_node(name, ROOM)
        node["metadata"]["labels"] |= labels
        plane.server.apply(node | ({"spec": {"taints": [TAINT]}} if name == "gpus" else {}))


@pytest.fixture
def namespace(server: ApiServer) -> Iterator[str]:
    """A namespace that no other test uses; what it has goes with the test, and with it the room that it takes."""
    name = f"team-{next(_numbers)}"
    server.make_namespace(name)
    yield name
    server.kubectl("delete", "trainjobs", "--all", f"--namespace={name}")
    wait_until(lambda: not pods(server, name))


def apply(server: ApiServer, namespace: str, name: str = "job", **spec: Any) -> None:
    """A TrainJob on CPU without a preflight, unless it says otherwise."""
    given = {"preflight": False, "resources": ON_CPU, **spec}
    manifest = changed({f"spec.{key}": value for key, value in given.items()})
    manifest["metadata"] |= {"name": name, "namespace": namespace}
    server.apply(manifest)


def pods(server: ApiServer, namespace: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = server.request("GET", f"/api/v1/namespaces/{namespace}/pods").body["items"]
    return items


def running(server: ApiServer, namespace: str, count: int = 1) -> list[dict[str, Any]]:
    """The pods of a namespace, once they run."""

    def run() -> bool:
        found = pods(server, namespace)
        return len(found) == count and all(pod["status"].get("phase") == "Running" for pod in found)

    wait_until(run)
    return pods(server, namespace)


def pod_of(server: ApiServer, namespace: str, **fields: Any) -> dict[str, Any]:
    """The pod of a job with these fields of ``spec.pods``, once it runs."""
    apply(server, namespace, pods=fields)
    (pod,) = running(server, namespace)
    return pod


def status(server: ApiServer, namespace: str, name: str = "job") -> dict[str, Any]:
    found: dict[str, Any] = server.request("GET", f"{jobs(namespace)}/{name}").body.get("status", {})
    return found


def reason(server: ApiServer, namespace: str, name: str = "job", kind: str = "Running") -> str:
    """Why a condition is as it is."""
    conditions = status(server, namespace, name).get("conditions", ())
    return next((c["reason"] for c in conditions if c["type"] == kind), "")


def test_a_node_selector_keeps_pods_on_nodes_with_its_labels(server: ApiServer, namespace: str) -> None:
    assert pod_of(server, namespace, nodeSelector={"rack": "b"})["spec"]["nodeName"] == "plain-b"


def test_a_taint_keeps_pods_away_until_a_job_tolerates_it(server: ApiServer, namespace: str) -> None:
    selector = {"pool": "gpus"}
    apply(server, namespace, "kept-away", pods={"nodeSelector": selector})
    wait_until(lambda: reason(server, namespace, "kept-away") == "Unschedulable")
    apply(server, namespace, "let-in", pods={"nodeSelector": selector, "tolerations": [TOLERATION]})
    wait_until(lambda: reason(server, namespace, "let-in") == "Training")
    assert reason(server, namespace, "kept-away") == "Unschedulable"


def test_affinity_is_what_the_scheduler_follows_beside_the_products_own(server: ApiServer, namespace: str) -> None:
    terms = [{"matchExpressions": [{"key": "rack", "operator": "In", "values": ["a"]}]}]
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    given = {"affinity": affinity, "tolerations": [TOLERATION]}
    apply(server, namespace, pods=given, resources={"nodes": 2, **ON_CPU})
    assert {pod["spec"]["nodeName"] for pod in running(server, namespace, 2)} == {"plain-a", "gpus"}


def test_topology_spread_puts_the_pods_of_a_job_into_different_racks(server: ApiServer, namespace: str) -> None:
    spread = {
        "maxSkew": 1,
        "topologyKey": "rack",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"mmaction.dev/trainjob": "job"}},
    }
    given = {"topologySpreadConstraints": [spread], "tolerations": [TOLERATION]}
    apply(server, namespace, pods=given, resources={"nodes": 2, **ON_CPU})
    nodes = [pod["spec"]["nodeName"] for pod in running(server, namespace, 2)]
    assert sorted(NODES[node]["rack"] for node in nodes) == ["a", "b"]


def test_a_more_important_job_takes_the_room_of_another_which_begins_again_and_loses_no_try(
    server: ApiServer, namespace: str
) -> None:
    item = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "urgent"}}
    server.apply({**item, "value": 1000})
    room = {**ON_CPU, "cpusPerNode": "40"}
    where = {"nodeSelector": {"rack": "b"}}
    apply(server, namespace, "plain", pods=where, resources=room, backoffLimit=0)
    running(server, namespace)  # KWOK stops only what runs
    apply(server, namespace, "urgent", pods={**where, "priorityClassName": "urgent"}, resources=room)
    wait_until(lambda: reason(server, namespace, "urgent") == "Training")
    wait_until(lambda: reason(server, namespace, "plain") == "Unschedulable")
    (failure,) = status(server, namespace, "plain")["failures"]
    assert (failure["attempt"], failure["reason"]) == (1, "Preempted")
    server.request("DELETE", f"{jobs(namespace)}/urgent")
    wait_until(lambda: reason(server, namespace, "plain") == "Training")
    assert status(server, namespace, "plain")["attempt"] == 2


def test_another_scheduler_is_left_to_find_nodes(server: ApiServer, namespace: str) -> None:
    apply(server, namespace, "gang", pods={"schedulerName": "gang", "labels": {"pod-group": "one"}})
    apply(server, namespace, "usual")
    wait_until(lambda: reason(server, namespace, "usual") == "Training")
    (pod,) = (pod for pod in pods(server, namespace) if pod["spec"]["schedulerName"] == "gang")
    assert "nodeName" not in pod["spec"]
    assert pod["metadata"]["labels"]["pod-group"] == "one"


def test_a_runtime_class_is_the_pods(server: ApiServer, namespace: str) -> None:
    overhead = {"podFixed": {"memory": "100Mi"}}
    metadata = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "gpu"}}
    server.apply({**metadata, "handler": "gpu", "overhead": overhead})
    assert pod_of(server, namespace, runtimeClassName="gpu")["spec"]["overhead"] == overhead["podFixed"]


def test_a_service_account_is_the_pods_and_its_token_is_not_mounted(server: ApiServer, namespace: str) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "trainer", "namespace": namespace}}
    server.apply(account)
    pod = pod_of(server, namespace, serviceAccountName="trainer")
    assert pod["spec"]["serviceAccountName"] == "trainer"
    assert not [volume for volume in pod["spec"]["volumes"] if volume["name"].startswith("kube-api-access")]


def test_an_image_its_secrets_variables_labels_and_annotations_are_the_pods(server: ApiServer, namespace: str) -> None:
    level = {"name": "NCCL_DEBUG", "value": "INFO"}
    node = {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
    pod = pod_of(
        server,
        namespace,
        image="registry.example/trainer:1.4",
        imagePullSecrets=[{"name": "registry"}],
        env=[level, node],
        labels={"team": "vision"},
        annotations={"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
    )
    (container,) = pod["spec"]["containers"]
    assert container["image"] == "registry.example/trainer:1.4"
    assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    assert container["env"][0] == level
    assert container["env"][1]["valueFrom"]["fieldRef"]["fieldPath"] == "spec.nodeName"
    assert pod["metadata"]["labels"]["team"] == "vision"
    assert pod["metadata"]["annotations"]["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"


def test_a_cache_on_a_claim_is_waited_for(server: ApiServer, namespace: str) -> None:
    apply(server, namespace, pods={"cache": {"persistentVolumeClaim": "videos"}})
    wait_until(lambda: reason(server, namespace) == "Unschedulable")
    size = {"storage": "1Gi"}
    common = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
    volume = {"capacity": size, "hostPath": {"path": "/videos"}, **common}
    claim = {"resources": {"requests": size}, "volumeName": f"videos-{namespace}", **common}
    server.apply(
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"videos-{namespace}"}, "spec": volume},
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "videos", "namespace": namespace},
            "spec": claim,
        },
    )
    wait_until(lambda: reason(server, namespace) == "Training")


@pytest.mark.parametrize("fields", [{"hostNetwork": True}, {"cache": {"hostPath": "/scratch"}}])
def test_what_needs_the_node_is_refused_where_the_namespace_does_not_allow_it(
    server: ApiServer, namespace: str, fields: dict[str, Any]
) -> None:
    server.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    apply(server, namespace, "refused", pods=fields)
    apply(server, namespace, "restricted")
    wait_until(lambda: reason(server, namespace, "restricted") == "Training")
    wait_until(lambda: reason(server, namespace, "refused") == "NoPods")
    assert {pod["metadata"]["labels"]["mmaction.dev/trainjob"] for pod in pods(server, namespace)} == {"restricted"}


def test_the_nodes_network_comes_with_the_clusters_names_and_a_port_that_the_scheduler_knows(
    server: ApiServer, namespace: str
) -> None:
    spec = pod_of(server, namespace, hostNetwork=True)["spec"]
    wait_until(lambda: reason(server, namespace) == "Training")
    (declared,) = spec["containers"][0]["ports"]
    assert (spec["hostNetwork"], spec["dnsPolicy"]) == (True, "ClusterFirstWithHostNet")
    assert declared["hostPort"] == declared["containerPort"] == status(server, namespace)["port"]


def test_failures_that_may_pass_are_tried_again_up_to_the_backoff_limit(server: ApiServer, namespace: str) -> None:
    apply(server, namespace, backoffLimit=1, pods={"labels": {EXIT: "12"}})
    wait_until(lambda: status(server, namespace).get("phase") == "Failed")
    assert [failure["reason"] for failure in status(server, namespace)["failures"]] == ["Storage", "Storage"]
    assert reason(server, namespace, kind="Failed") == "Storage"


def test_failures_that_somebody_has_to_mend_are_not_tried_again(server: ApiServer, namespace: str) -> None:
    apply(server, namespace, backoffLimit=3, pods={"labels": {EXIT: "11"}})
    wait_until(lambda: status(server, namespace).get("phase") == "Failed")
    assert [failure["reason"] for failure in status(server, namespace)["failures"]] == ["Data"]


def test_a_job_that_is_deleted_takes_all_that_it_has_with_it(server: ApiServer, namespace: str) -> None:
    def left() -> list[str]:
        kinds = "jobs,pods,configmaps,services"
        chosen = ("--selector=mmaction.dev/trainjob", "--output=name", f"--namespace={namespace}")
        return server.kubectl("get", kinds, *chosen).split()

    apply(server, namespace, resources={"nodes": 2, **ON_CPU})
    running(server, namespace, 2)
    assert {name.split("/")[0] for name in left()} == {"job.batch", "pod", "configmap", "service"}
    server.kubectl("delete", "trainjob", "job", f"--namespace={namespace}")
    wait_until(lambda: not left())
