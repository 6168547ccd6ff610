"""A whole cluster on this machine: control plane, real nodes, names, and S3 under a name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from .api_server import ApiServer, serve
from .control_plane import control
from .dns import start_dns
from .machine import check_machine
from .network import start_network
from .node import Node, start_node
from .s3 import S3Server, serve_s3
from .seed import Images, hold_seed
from .slot import hold_slot
from .times import timed

S3_NAME = "s3.storage.svc.cluster.local"


class Machine:
    """What a node runs on: it can be switched off, and on again.

    Args:
        node: starts the node, for as long as the machine is on.
    """

    def __init__(self, node: Callable[[], AbstractContextManager[Node]]) -> None:
        self._node, self._on = node, ExitStack()

    def on(self) -> Node:
        """Start the node; what its disk holds is as it was."""
        return self._on.enter_context(self._node())

    def off(self) -> None:
        """End the node and all that runs on it, as a power cut does."""
        self._on.close()


@dataclass(frozen=True)
class Cluster:
    """A cluster of real nodes, and an S3 server that its pods and this machine reach."""

    server: ApiServer
    nodes: list[Node]
    s3: S3Server
    machines: tuple[Machine, ...]

    @contextmanager
    def without(self, number: int) -> Iterator[None]:
        """Without one node, by its place in ``nodes``, while the body runs; then it is back, and ready."""
        self.machines[number].off()
        yield
        self.nodes[number] = self.machines[number].on()
        wait_until_ready(self.server, self.nodes)

    @property
    def s3_in_pods(self) -> str:
        """The S3 server's URL by its name in the cluster."""
        return f"http://{S3_NAME}:{self.s3.endpoint.rpartition(':')[2]}"


@contextmanager
def start_cluster(*, nodes: int = 2, images: Images | None = None) -> Iterator[Cluster]:
    """A cluster for as long as the body runs.

    Args:
        nodes: how many, up to four.
        images: what every node has, beside the pause image.

    Raises:
        SystemExit: this machine cannot run one, and what to do.
    """
    check_machine()
    with ExitStack() as stack:
        seed = stack.enter_context(hold_seed(images or {}))
        slot = stack.enter_context(hold_slot())
        network = stack.enter_context(start_network(slot))
        server = stack.enter_context(serve(slot, network.host))
        stack.enter_context(control(server, slot))
        stack.enter_context(start_dns(server, network.host, slot.folder))
        s3 = stack.enter_context(serve_s3(network.host, slot.folder))
        name_s3(server, s3)
        with timed(f"{nodes} nodes ready"):
            joining = partial(start_node, slot_folder=slot.folder, server=server, network=network, seed=seed)
            machines = tuple(Machine(partial(joining, number)) for number in range(1, nodes + 1))
            for machine in machines:
                stack.callback(machine.off)
            started = [machine.on() for machine in machines]
            wait_until_ready(server, started)
        yield Cluster(server, started, s3, machines)


def name_s3(server: ApiServer, s3: S3Server) -> None:
    """Give the S3 server a name in the cluster, as its own service would have."""
    host, _, port = s3.endpoint.removeprefix("http://").rpartition(":")
    named: dict[str, Any] = {"name": "s3", "namespace": "storage"}
    ports = [{"name": "http", "port": int(port), "protocol": "TCP"}]
    server.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "storage"}},
        {"apiVersion": "v1", "kind": "Service", "metadata": named, "spec": {"clusterIP": "None", "ports": ports}},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**named, "labels": {"kubernetes.io/service-name": "s3"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [host]}],
            "ports": ports,
        },
    )


def wait_until_ready(server: ApiServer, nodes: Sequence[Node], within: float = 30) -> None:
    """Wait until the nodes say that they are ready."""
    deadline = time.monotonic() + within
    while late := unready(server, nodes):
        if time.monotonic() > deadline:
            logs = [server.folder / "log" / f"{name}-{part}.log" for name in late for part in ("containerd", "kubelet")]
            words = "\n".join(f"{log}:\n{log.read_text()[-2000:]}" for log in logs)
            raise RuntimeError(f"not ready after {within:.0f} s: {', '.join(late)}\n{words}")
        time.sleep(0.1)


def unready(server: ApiServer, nodes: Sequence[Node]) -> set[str]:
    """Names of nodes that are not ready."""
    items = server.request("GET", "/api/v1/nodes").body["items"]
    ready = {
        item["metadata"]["name"]
        for item in items
        for condition in item["status"].get("conditions", [])
        if (condition["type"], condition["status"]) == ("Ready", "True")
    }
    return {node.name for node in nodes} - ready
