"""A node: containerd, kubelet and kube-proxy in namespaces of their own, as if on a machine of their own.

Inside, ``/run``, ``/var/lib`` and ``/var/log`` are the node's, so everything uses its usual paths.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from . import cgroups
from .api_server import ApiServer
from .authority import Credentials
from .namespaces import Namespaces, hold
from .network import Network
from .process import Process
from .programs import program
from .seed import PAUSE, mounts_from

KINDS = ("net", "mount", "pid", "uts")
SOCKET = "/run/containerd/containerd.sock"
CNI = "/var/lib/cni/net.d"
KERNEL_SETTINGS = ("kernel/panic", "kernel/panic_on_oops", "vm/overcommit_memory")
"""What a kubelet writes for its whole machine; here it writes to files of its node."""


@dataclass(frozen=True)
class Node:
    """A node that runs pods."""

    name: str
    address: str
    namespaces: Namespaces

    def command(self, *words: str | Path) -> list[str]:
        """A command line that runs on the node, beside its pods."""
        return self.namespaces.command(*words)

    def run(self, *words: str | Path) -> str:
        """Run a command on the node; its output."""
        return self.namespaces.run(*words)


@contextmanager
def start_node(number: int, *, slot_folder: Path, server: ApiServer, network: Network, seed: Path) -> Iterator[Node]:
    """A node for as long as the body runs; registered, though not ready, when it begins.

    One that was there before has its disk as it left it.

    Args:
        number: from 1.
        slot_folder: the cluster's folder; the node's is below it.
        server: the API server that it joins.
        network: where it is connected.
        seed: the images that it has.
    """
    name, cgroup = f"node-{number}", cgroups.name(slot_folder.name, f"node-{number}")
    cgroups.create(cgroup)
    parts: list[Process] = []
    try:
        with hold(name, KINDS, slot_folder) as namespaces:
            node = Node(name, network.node(number), namespaces)
            node.run("hostname", name)
            network.connect(number, namespaces)
            own = slot_folder / "nodes" / name
            furnish(node, own, seed)
            configure(node, own, server, network, number, cgroup)
            for part, words in components(node).items():
                parts.append(Process(f"{name}-{part}", node.command(*words), slot_folder))
                if part == "containerd":
                    parts[0].wait_until(Path(f"/proc/{namespaces.pid}/root{SOCKET}").exists)
            yield node
    finally:  # what ran in the namespaces has ended with them
        for process in parts:
            process.kill()
        network.disconnect(number)


AGAIN = ["sh", "-c", 'until "$@"; do sleep 1; done', "again"]
"""Starts what follows again when it fails, as systemd does: kubelet ends where containerd does not answer it yet."""


def components(node: Node) -> dict[str, list[str | Path]]:
    """Command lines of what makes a node, in the order of their start."""
    return {
        "containerd": ["containerd", "--config", "/var/lib/containerd.toml"],
        "kube-proxy": [program("kube-proxy"), "--config=/var/lib/kube-proxy.yaml"],
        "kubelet": [
            *AGAIN,
            program("kubelet"),
            "--config=/var/lib/kubelet.yaml",
            "--kubeconfig=/var/lib/kubeconfig",
            f"--hostname-override={node.name}",
            f"--node-ip={node.address}",
        ],
    }


def furnish(node: Node, own: Path, seed: Path) -> None:
    """Give a node its own files: mounts that nobody outside sees, and that end with the node."""
    for folder in ("lib", "log", "kernel"):
        (own / folder).mkdir(parents=True, exist_ok=True)
    commands: list[Sequence[str]] = [
        ("mount", "--make-rshared", "/"),
        ("mount", "-t", "tmpfs", "tmpfs", "/run"),
        ("mkdir", "-p", "/run/lock", "/run/containerd"),
    ]
    for setting in KERNEL_SETTINGS:
        value, copy = Path("/proc/sys") / setting, own / "kernel" / setting.replace("/", "_")
        copy.write_text(value.read_text())
        commands.append(("mount", "--bind", str(copy), str(value)))
    commands += mounts_from(seed, own / "lib" / "containerd")
    for folder in ("lib", "log"):
        commands.append(("mount", "--rbind", str(own / folder), f"/var/{folder}"))
    node.namespaces.run("sh", "-e", given="\n".join(map(shlex.join, commands)))


def configure(node: Node, own: Path, server: ApiServer, network: Network, number: int, cgroup: str) -> None:
    """Write what containerd, kubelet, kube-proxy and CNI read."""
    user = f"system:node:{node.name}"
    serving = server.authority.issue(node.name, user=user, group="system:nodes", hosts=[node.name, node.address])
    lib = own / "lib"
    (lib / "containerd.toml").write_text(CONTAINERD)
    conflist = lib / "cni" / "net.d" / "10-pods.conflist"
    conflist.parent.mkdir(parents=True, exist_ok=True)
    conflist.write_text(json.dumps(cni(network.pods(number))))
    (lib / "resolv.conf").write_text("")
    write(lib / "kubelet.yaml", kubelet_settings(server, network, serving, cgroup))
    write(lib / "kube-proxy.yaml", kube_proxy_settings(server, node.name))
    (lib / "kubeconfig").write_text(server.kubeconfig_for(node.name, serving).read_text())


def write(path: Path, settings: dict[str, object]) -> None:
    """Write settings as YAML."""
    path.write_text(yaml.safe_dump(settings, sort_keys=False))


CONTAINERD = f"""\
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
  address = "{SOCKET}"

[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  # A machine may forbid lower scores than this process's own, and need not have AppArmor's tools.
  restrict_oom_score_adj = true
  disable_apparmor = true

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "{CNI}"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = false
"""


def cni(pods: str) -> dict[str, object]:
    """How pods are connected: a cable each, routed, not switched, so that every packet meets the node's rules."""
    address_management = {"type": "host-local", "ranges": [[{"subnet": pods}]], "routes": [{"dst": "0.0.0.0/0"}]}
    return {
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [
            {"type": "ptp", "ipam": address_management},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def kubelet_settings(server: ApiServer, network: Network, serving: Credentials, cgroup: str) -> dict[str, object]:
    """kubelet's settings: those of a stock node but for what lets it share a machine."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "clusterDNS": [network.host],
        "clusterDomain": "cluster.local",
        "resolvConf": "/var/lib/resolv.conf",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(server.authority.certificate)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(serving.certificate),
        "tlsPrivateKeyFile": str(serving.key),
        "maxPods": 50,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "enforceNodeAllocatable": ["pods"],
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        # Images are the machine's, not the node's to remove.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    }


def kube_proxy_settings(server: ApiServer, name: str) -> dict[str, object]:
    """kube-proxy's settings; limits of the connection table are the machine's."""
    user = server.authority.issue(f"{name}-proxy", user="system:kube-proxy")
    untouched = {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(server.kubeconfig_for(f"{name}-proxy", user))},
        "mode": "iptables",
        "hostnameOverride": name,
        "conntrack": untouched,
    }
