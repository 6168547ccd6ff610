"""Names inside a cluster: CoreDNS, on this machine, at the address that every kubelet gives its pods."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .api_server import ApiServer
from .process import running
from .programs import program

ROLE = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "cluster-dns"},
    "rules": [
        {"apiGroups": [""], "resources": ["services", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ],
}
BINDING = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "cluster-dns"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-dns"},
    "subjects": [{"kind": "User", "name": "cluster-dns", "apiGroup": "rbac.authorization.k8s.io"}],
}


@contextmanager
def start_dns(server: ApiServer, address: str, folder: Path) -> Iterator[None]:
    """DNS for ``cluster.local`` at an address, on port 53."""
    server.apply(ROLE, BINDING)
    user = server.authority.issue("dns", user="cluster-dns")
    corefile = folder / "Corefile"
    corefile.write_text(
        f"cluster.local:53 {{\n"
        f"  bind {address}\n  errors\n"
        f"  kubernetes cluster.local {{\n    kubeconfig {server.kubeconfig_for('dns', user)} test\n    ttl 0\n  }}\n"
        f"}}\n"
    )
    with running("coredns", [program("coredns"), "-conf", corefile], folder) as process:
        process.wait_until(lambda: "CoreDNS-" in process.last_words())
        yield
