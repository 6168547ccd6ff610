"""The network of a cluster: a switch in a namespace of its own, to which this machine and every node have a cable.

Addresses come from 198.18.0.0/15, which RFC 2544 sets apart for tests, so no real network has them. This machine's own
settings stay as they are: no rule, no forwarding, no bridge; one link, which goes when the switch does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from .namespaces import Namespaces, hold, run
from .slot import Slot

MOST_NODES = 4
SWITCH = "switch"


@dataclass(frozen=True)
class Network:
    """``slot``'s addresses, and the switch between them."""

    slot: int
    switch: Namespaces

    @property
    def host(self) -> str:
        """This machine's address, where the control plane, DNS and S3 answer."""
        return host_address(self.slot)

    def node(self, number: int) -> str:
        """The address of a node, from 1."""
        return f"198.18.{self.slot}.{10 + number}"

    def pods(self, number: int) -> str:
        """The range of a node's pods: 64 addresses."""
        return f"198.19.{self.slot}.{64 * (number - 1)}/26"

    def connect(self, number: int, node: Namespaces) -> None:
        """Lay the cable of a node: its address, the ways to other nodes' pods, and to everything else this machine."""
        name = f"node-{number}"
        cable = (*("ip", "link", "add", name, "master", SWITCH, "type", "veth"), "peer", "name", "eth0")
        self.switch.run(*cable, "netns", str(node.pid))
        self.switch.run("ip", "link", "set", name, "up")
        node.run("ip", "address", "add", f"{self.node(number)}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            node.run("ip", "link", "set", link, "up")
        node.run("ip", "route", "add", "default", "via", self.host)
        for other in range(1, MOST_NODES + 1):
            if other != number:
                node.run("ip", "route", "add", self.pods(other), "via", self.node(other))
        node.run("sysctl", "-qw", "net.ipv4.ip_forward=1")

    def disconnect(self, number: int) -> None:
        """Take away the cable of a node that has ended, unless the kernel has done so already."""
        with suppress(RuntimeError):
            self.switch.run("ip", "link", "delete", f"node-{number}")


@contextmanager
def start_network(slot: Slot) -> Iterator[Network]:
    """The network of a slot, for as long as the body runs."""
    with hold("switch", ["net"], slot.folder) as switch:
        network = Network(slot.number, switch)
        cable = f"mmtest{slot.number}"
        switch.run("ip", "link", "add", SWITCH, "type", "bridge")
        switch.run("ip", "link", "set", SWITCH, "up")
        run(*("ip", "link", "add", cable, "type", "veth", "peer", "name", "host", "netns", str(switch.pid)))
        switch.run("ip", "link", "set", "host", "master", SWITCH, "up")
        run("ip", "address", "add", f"{network.host}/24", "dev", cable)
        run("ip", "link", "set", cable, "up")
        for number in range(1, MOST_NODES + 1):
            run("ip", "route", "add", network.pods(number), "via", network.node(number))
        yield network
    wait_until_gone(cable)


def host_address(slot: int) -> str:
    """This machine's address in the network of a slot."""
    return f"198.18.{slot}.1"


def wait_until_gone(link: str, within: float = 10) -> None:
    """The kernel takes a link down with its other end's namespace, a moment after the last process there."""
    deadline = time.monotonic() + within
    while f" {link}@" in run("ip", "-o", "link"):
        if time.monotonic() > deadline:
            raise RuntimeError(f"the link {link} stays: ip link delete {link}")
        time.sleep(0.05)
