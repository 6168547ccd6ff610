"""Disturbances of what trainings stand on: nodes, the API server, the operator's own replicas."""

from __future__ import annotations

import os
import signal
import time
from functools import partial

from tests.cluster.mortal import Mortal

from .drawing import Round
from .scene import Object, Seen
from .stage import Disturbance, Stage

LEASE = "/apis/coordination.k8s.io/v1/namespaces/{}/leases/mmaction-mmaction-operator"


def lose_node(at: Stage, round_: Round) -> str:
    """Cut a node's power for a while: kubelet and every container are gone at once, its disk is not."""
    nodes = at.scene.cluster.nodes
    node = round_.of(nodes)
    for target in at.scene.targets("launcher"):
        if target.pod["spec"].get("nodeName") == node.name:
            at.meet(target.job, round_)
    with at.scene.cluster.without(nodes.index(node)):
        at.rest(round_.lasts)
    return f"{node.name}, for {round_.lasts} s"


def kill_api_server(at: Stage, round_: Round) -> str:
    """Kill the API server, and start it again after a while: nobody can be told anything in between."""
    server = Mortal(at.scene.cluster.server)
    server.kill()
    time.sleep(round_.lasts)
    server.revive()
    return f"for {round_.lasts} s"


def kill_controller(leading: bool, at: Stage, round_: Round) -> str:
    """Kill a replica of the operator, the one that leads or the other, and have another pod take its place at once."""
    pods = {pod["metadata"]["uid"]: pod for pod in at.scene.found("pods", at.scene.system)}
    leader = (
        at.scene.ask("GET", LEASE.format(at.scene.system)).get("spec", {}).get("holderIdentity", "").partition("_")[0]
    )

    def those() -> list[tuple[Seen, Object]]:
        running = [each for each in at.scene.processes() if each.part == "controller" and each.pod in pods]
        return [(each, pods[each.pod]) for each in running if (pods[each.pod]["metadata"]["name"] == leader) == leading]

    process, pod = round_.of(at.wait_for(those))
    os.kill(process.pid, signal.SIGKILL)
    # A container that is started again waits longer each time, a new pod does not.
    path = at.scene.path("pods", pod["metadata"]["name"], at.scene.system)
    at.scene.ask("DELETE", f"{path}?gracePeriodSeconds=0")
    return f"{pod['metadata']['name']} on {pod['spec'].get('nodeName')}"


DISTURBANCES: dict[str, Disturbance] = {
    "node lost": lose_node,
    "API server killed": kill_api_server,
    "leading controller killed": partial(kill_controller, True),
    "standing-by controller killed": partial(kill_controller, False),
}
