"""The cluster does what the product needs of one: pods of the product's images on two nodes, names, ports, storage."""

from __future__ import annotations

import gzip
import json
from typing import Any

from tests.cluster.clusters import Cluster
from tests.cluster.product import product_layout
from tests.cluster.s3 import client
from tests.cluster.seed import PAUSE

from .conftest import a_pod, logs, output_of, wait_for

MEETING = """
import json, os, socket
import boto3, torch
import torch.distributed as dist

dist.init_process_group("gloo")
seen = [None] * dist.get_world_size()
dist.all_gather_object(seen, {"rank": dist.get_rank(), "pod": socket.gethostname(), "node": os.environ["NODE"]})
total = torch.tensor([dist.get_rank() + 1.0])
dist.all_reduce(total)
if dist.get_rank() == 0:
    body = json.dumps({"ranks": seen, "sum": total.item()})
    boto3.client("s3", region_name="us-east-1").put_object(Bucket=os.environ["BUCKET"], Key="met.json", Body=body)
dist.destroy_process_group()
print("met", seen, flush=True)
"""


def indexed_job(cluster: Cluster, namespace: str, image: str, script: str, bucket: str) -> list[dict[str, Any]]:
    """A Job of two pods on two nodes, one torchrun each, that meet by the headless Service's name."""
    labels = {"app": "meeting"}
    pod = a_pod("unnamed", namespace, image)["spec"]
    (container,) = pod["containers"]
    container["command"] = ["sh", "-c"]
    container["args"] = [
        f"cat > /tmp/meet.py <<'END'\n{script}\nEND\n"
        "exec torchrun --nnodes=2 --nproc-per-node=2 --node-rank=$JOB_COMPLETION_INDEX "
        "--rdzv-backend=static --master-addr=meeting-0.meeting --master-port=20100 /tmp/meet.py"
    ]
    s3 = cluster.s3.environment() | {"AWS_ENDPOINT_URL": cluster.s3_in_pods, "BUCKET": bucket, "OMP_NUM_THREADS": "1"}
    container["env"] = [{"name": name, "value": value} for name, value in s3.items()]
    container["env"].append({"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}})
    apart = {"labelSelector": {"matchLabels": labels}, "topologyKey": "kubernetes.io/hostname"}
    pod["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}}
    pod["subdomain"] = "meeting"
    named = {"name": "meeting", "namespace": namespace}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": named,
            "spec": {"clusterIP": "None", "selector": labels, "publishNotReadyAddresses": True},
        },
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": named,
            "spec": {
                "completions": 2,
                "parallelism": 2,
                "completionMode": "Indexed",
                "backoffLimit": 0,
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
    ]


def test_pods_on_two_nodes_meet_by_name_as_one_world_and_write_to_s3_by_its_name(
    cluster: Cluster, namespace: str, images: dict[str, str]
) -> None:
    cluster.s3.bucket(namespace)
    cluster.server.apply(*indexed_job(cluster, namespace, images["trainer"], MEETING, namespace))
    try:
        wait_for(cluster.server, "condition=complete", "job/meeting", namespace, within=120)
    except RuntimeError as error:
        told = [logs(cluster.server, f"job/meeting-{index}", namespace) for index in (0,)]
        raise AssertionError(f"{error}\n{told}") from None
    met = json.loads(client(cluster.s3).get_object(Bucket=namespace, Key="met.json")["Body"].read())
    assert met["sum"] == 1 + 2 + 3 + 4
    assert [seen["rank"] for seen in met["ranks"]] == [0, 1, 2, 3]
    assert {(seen["pod"], seen["node"]) for seen in met["ranks"]} == {
        (f"meeting-{index}", node) for index, node in enumerate(nodes_of(cluster, namespace))
    }
    assert set(nodes_of(cluster, namespace)) == {"node-1", "node-2"}


def nodes_of(cluster: Cluster, namespace: str) -> list[str]:
    """Nodes of the pods of the Job, in the order of their index."""
    path = f"/api/v1/namespaces/{namespace}/pods?labelSelector=job-name%3Dmeeting"
    pods = cluster.server.request("GET", path).body["items"]
    index = "batch.kubernetes.io/job-completion-index"
    return [p["spec"]["nodeName"] for p in sorted(pods, key=lambda pod: int(pod["metadata"]["annotations"][index]))]


def test_the_operators_image_has_the_command_line_and_no_torch(
    cluster: Cluster, namespace: str, images: dict[str, str]
) -> None:
    version = output_of(cluster.server, a_pod("version", namespace, images["operator"], "trainjob", "--version"))
    assert version.startswith("trainjob 0.")
    script = (
        "import importlib.util, json; print([importlib.util.find_spec(n) is not None for n in ('kubernetes', 'torch')])"
    )
    pod = a_pod("imports", namespace, images["operator"], "python", "-c", script)
    assert output_of(cluster.server, pod).strip() == "[True, False]"


def test_the_operators_image_is_small(images: dict[str, str]) -> None:
    layout = product_layout()
    manifest = layout.references()[images["operator"]]
    unpacked = sum(len(gzip.decompress(layout.path(digest).read_bytes())) for digest, _ in layout.layers(manifest))
    assert unpacked < 250_000_000, f"{unpacked / 1e6:.0f} MB"


def test_the_trainers_image_has_mmaction(cluster: Cluster, namespace: str, images: dict[str, str]) -> None:
    script = "import mmaction.models, torch, os; print(torch.__version__, os.getuid())"
    pod = a_pod("imports", namespace, images["trainer"], "python", "-c", script)
    version, user = output_of(cluster.server, pod).split()[-2:]
    assert version.startswith("2.")
    assert user == "65532"


def test_a_pod_reaches_the_api_server_by_its_service_and_name(
    cluster: Cluster, namespace: str, images: dict[str, str]
) -> None:
    script = (
        "import ssl, urllib.request; "
        "context = ssl.create_default_context(cafile='/var/run/secrets/kubernetes.io/serviceaccount/ca.crt'); "
        "print(urllib.request.urlopen('https://kubernetes.default.svc/version', context=context).status)"
    )
    pod = a_pod("asks", namespace, images["operator"], "python", "-c", script)
    pod["spec"]["automountServiceAccountToken"] = True
    assert output_of(cluster.server, pod).strip() == "200"


def test_pods_reach_a_service_whose_pod_is_on_their_own_node(
    cluster: Cluster, namespace: str, images: dict[str, str]
) -> None:
    serves = a_pod("serves", namespace, images["operator"], "python", "-m", "http.server", "8080", nodeName="node-1")
    serves["metadata"]["labels"] = {"app": "serves"}
    spec = {"selector": {"app": "serves"}, "ports": [{"port": 80, "targetPort": 8080}]}
    named = {"name": "web", "namespace": namespace}
    cluster.server.apply(serves, {"apiVersion": "v1", "kind": "Service", "metadata": named, "spec": spec})
    wait_for(cluster.server, "condition=Ready", "pod/serves", namespace)
    script = (
        "import time, urllib.request, urllib.error\n"
        "for attempt in range(50):\n"
        "    try:\n"
        "        print(urllib.request.urlopen('http://web', timeout=2).status); break\n"
        "    except OSError: time.sleep(0.2)\n"
    )
    for node in ("node-1", "node-2"):
        pod = a_pod(f"asks-from-{node}", namespace, images["operator"], "python", "-c", script, nodeName=node)
        assert output_of(cluster.server, pod).strip() == "200", node


def test_the_scheduler_gives_a_host_port_once_on_each_node(cluster: Cluster) -> None:
    server = cluster.server
    for name in ("first", "second", "third"):
        pod = a_pod(name, "default", PAUSE, "/pause", hostNetwork=True, securityContext={"runAsUser": 65532})
        pod["spec"]["containers"][0]["ports"] = [{"containerPort": 20200, "hostPort": 20200}]
        server.apply(pod)
    running = [name for name in ("first", "second", "third") if is_scheduled(cluster, name)]
    assert len(running) == 2
    assert {server.kubectl("get", "pod", name, "-o", "jsonpath={.spec.nodeName}") for name in running} == {
        node.name for node in cluster.nodes
    }
    (waiting,) = {"first", "second", "third"} - set(running)
    reason = server.kubectl("get", "pod", waiting, "-o", "jsonpath={.status.conditions[0].message}")
    assert "didn't have free ports" in reason
    server.kubectl("delete", "pod", running[0], "--grace-period=0", "--force")
    wait_for(server, "condition=Ready", f"pod/{waiting}")
    server.kubectl("delete", "pod", running[1], waiting, "--grace-period=0", "--force")


def is_scheduled(cluster: Cluster, pod: str) -> bool:
    """Whether a pod has a node, once the scheduler has looked at it."""
    wait_for(cluster.server, "jsonpath={.status.conditions[?(@.type=='PodScheduled')].status}", f"pod/{pod}")
    status = "jsonpath={.status.conditions[?(@.type=='PodScheduled')].status}"
    return cluster.server.kubectl("get", "pod", pod, "-o", status) == "True"


def test_a_node_is_a_machine_of_its_own_as_far_as_ports_go(cluster: Cluster) -> None:
    listen = "import socket; s = socket.create_server(('0.0.0.0', 20300)); print('held')"
    assert [node.run("python3", "-c", listen).strip() for node in cluster.nodes] == ["held", "held"]
    first, second = cluster.nodes
    assert first.run("hostname").strip() == "node-1"
    assert second.run("hostname").strip() == "node-2"
