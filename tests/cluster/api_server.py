"""etcd and the API server: all that a CustomResourceDefinition, a controller's client or a chart needs to be tried."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import urllib3
import yaml

from .authority import Authority, Credentials
from .process import Process, running
from .programs import program
from .slot import Slot, hold_slot
from .times import timed

SERVICES = "10.96.0.0/16"
API_SERVICE = "10.96.0.1"
ADMINISTRATORS = "system:masters"
ISSUER = "https://kubernetes.default.svc.cluster.local"


@dataclass(frozen=True)
class Answer:
    """What the API server said: the HTTP status and the object, or the metav1.Status of a refusal."""

    status: int
    body: dict[str, Any]


@dataclass(frozen=True)
class ApiServer:
    """A running API server, and an administrator's ways to it."""

    address: str
    folder: Path
    authority: Authority
    service_account_key: Path
    administrator: Credentials
    process: Process | None = None

    PORT = 6443

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"https://{self.address}:{self.PORT}"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.folder / "admin.kubeconfig"

    def kubeconfig_for(self, name: str, credentials: Credentials) -> Path:
        """A kubeconfig for another user of the cluster."""
        path = self.folder / f"{name}.kubeconfig"
        path.touch(mode=0o600)
        cluster = {"server": self.url, "certificate-authority": str(self.authority.certificate)}
        user = {"client-certificate": str(credentials.certificate), "client-key": str(credentials.key)}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
            "current-context": "test",
        }
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    def kubectl(self, *words: str | Path, given: str | None = None) -> str:
        """Run kubectl as administrator; its output.

        Raises:
            RuntimeError: with what kubectl said, where it fails.
        """
        command = [str(program("kubectl")), "--kubeconfig", str(self.kubeconfig), *map(str, words)]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"kubectl {' '.join(map(str, words))}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, *objects: dict[str, Any]) -> None:
        """Create or change objects, server side, every field checked."""
        self.kubectl(*("apply", "--server-side", "--validate=strict", "-f", "-"), given=yaml.safe_dump_all(objects))

    def define(self, definition: Path) -> None:
        """Serve what a CustomResourceDefinition describes, from now on; every field of it is checked."""
        self.kubectl("apply", "--server-side", "--validate=strict", "-f", definition)
        # kubectl fails where a condition is waited for before there are any.
        self.kubectl("wait", "--for=jsonpath={.status.conditions}", "--timeout=30s", "-f", definition)
        self.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", definition)

    def make_namespace(self, name: str) -> None:
        """Make a namespace, one that pods can be made in: they need its service account."""
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        account = ("serviceaccount/default", f"--namespace={name}")
        self.kubectl("wait", "--for=create", "--timeout=60s", *account)

    def request(self, method: str, path: str, body: dict[str, Any] | None = None, **headers: str) -> Answer:
        """One request as administrator, JSON both ways; a refusal is an answer like any other."""
        connection = http.client.HTTPSConnection(self.address, self.PORT, context=self._tls, timeout=60)
        try:
            sent = None if body is None else json.dumps(body)
            kind = {"Content-Type": "application/json", "Accept": "application/json"}
            connection.request(method, path, sent, kind | headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        is_json = "json" in answer.headers.get("Content-Type", "")
        return Answer(answer.status, json.loads(content) if is_json else {"message": content.decode()})

    def pool(self, most: int = 1) -> urllib3.HTTPSConnectionPool:
        """Connections of the administrator that stay open, for many requests from so many threads at once."""
        return urllib3.HTTPSConnectionPool(self.address, self.PORT, maxsize=most, ssl_context=self._tls)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        context.load_cert_chain(self.administrator.certificate, self.administrator.key)
        return context

    def is_ready(self) -> bool:
        """Whether it says that it is."""
        try:
            return self.request("GET", "/readyz").status == 200
        except OSError:
            return False


@contextmanager
def start_api_server() -> Iterator[ApiServer]:
    """An API server without nodes, controllers or root, as controller-runtime's envtest has it."""
    with hold_slot() as slot, serve(slot, slot.loopback, ALONE) as server:
        yield server


ALONE = (
    # Nobody makes service accounts, and a loopback address cannot be an endpoint.
    "--disable-admission-plugins=ServiceAccount",
    "--endpoint-reconciler-type=none",
)


@contextmanager
def serve(
    slot: Slot, address: str, options: Sequence[str | Path] = (), way: Callable[[str], str] = str
) -> Iterator[ApiServer]:
    """etcd and the API server at an address of this machine, on their usual ports.

    Args:
        options: more of the API server's.
        way: given where etcd answers, HOST:PORT, says where the API server asks it. Default: there.
    """
    authority = Authority(slot.folder / "pki")
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"]
    serving = authority.issue("apiserver", user="kube-apiserver", hosts=[*names, address, API_SERVICE])
    administrator = authority.issue("admin", user="admin", group=ADMINISTRATORS)
    server = ApiServer(address, slot.folder, authority, authority.service_accounts(), administrator)
    server.kubeconfig_for("admin", administrator)
    etcd_url, peer_url = f"http://{slot.loopback}:2379", f"http://{slot.loopback}:2380"
    with ExitStack() as stack:
        with timed("API server started"):
            stack.enter_context(running("etcd", etcd(etcd_url, peer_url, slot.folder / "etcd"), slot.folder))
            words = [*command(server, serving, f"http://{way(etcd_url.removeprefix('http://'))}"), *options]
            process = stack.enter_context(running("kube-apiserver", words, slot.folder))
            process.wait_until(server.is_ready)
        yield replace(server, process=process)


def etcd(url: str, peer_url: str, folder: Path) -> list[str | Path]:
    """etcd's command line; what it holds need not survive a power cut."""
    return [
        program("etcd"),
        *("--data-dir", folder, "--unsafe-no-fsync", "--log-level", "warn"),
        *("--listen-client-urls", url, "--advertise-client-urls", url),
        *("--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url),
        *("--initial-cluster", f"default={peer_url}"),
    ]


def command(server: ApiServer, serving: Credentials, etcd_url: str) -> list[str | Path]:
    """The API server's command line."""
    client, keys = server.administrator, server.service_account_key
    return [
        program("kube-apiserver"),
        f"--etcd-servers={etcd_url}",
        f"--bind-address={server.address}",
        f"--advertise-address={server.address}",
        f"--secure-port={server.PORT}",
        f"--service-cluster-ip-range={SERVICES}",
        f"--tls-cert-file={serving.certificate}",
        f"--tls-private-key-file={serving.key}",
        f"--client-ca-file={server.authority.certificate}",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-key-file={keys}",
        f"--service-account-signing-key-file={keys}",
        f"--kubelet-certificate-authority={server.authority.certificate}",
        f"--kubelet-client-certificate={client.certificate}",
        f"--kubelet-client-key={client.key}",
        "--kubelet-preferred-address-types=InternalIP",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged",
    ]
