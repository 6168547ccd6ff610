"""The way to the API server: where it is, who we are, and one request at a time.

This is all that the official client is used for: it finds and reads kubeconfigs and the pod's service account, runs
exec plugins, reads rotated tokens again, and sets up TLS, proxies and a pool of connections. Its generated classes for
objects cost seconds of imports and most of a controller's CPU time; here JSON stays JSON.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import urllib3
import yaml
from kubernetes.client.configuration import Configuration
from kubernetes.client.rest import RESTClientObject
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config

from .errors import Refused, Unreachable, refusal

POOL = 32
"""Connections kept open: one for each worker and watch, or every request in excess makes a TLS handshake."""

IN_CLUSTER = "KUBERNETES_SERVICE_HOST"
SERVICE_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
KUBECONFIG = "~/.kube/config"


@dataclass(frozen=True, kw_only=True)
class Request:
    """One HTTP request.

    Args:
        asked: what it asks, in words, for errors.
        connect: seconds to wait for a connection.
        read: seconds to wait for each part of the answer.
    """

    asked: str
    path: str
    connect: float
    read: float
    method: str = "GET"
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = "application/json"


class Connection:
    """A pool of connections to one API server, as one user. May be used from many threads.

    Args:
        configuration: the official client's.
        user_agent: by which the API server's logs and metrics name this program.
        namespace: the one that is meant where none is named.
    """

    def __init__(self, configuration: Configuration, *, user_agent: str, namespace: str = "default") -> None:
        self.namespace = namespace
        configuration.keep_alive = True
        configuration.connection_pool_maxsize = POOL
        self._configuration = configuration
        self._pool = RESTClientObject(configuration).pool_manager
        self._user_agent = user_agent
        self._credentials = threading.Lock()

    @classmethod
    def load(cls, kubeconfig: Path | None = None, *, user_agent: str, context: str | None = None) -> Connection:
        """The connection that kubectl would make in the same place.

        Args:
            kubeconfig: default None: the files that KUBECONFIG names, as one; then the pod's service account, then
                ``~/.kube/config``.
            context: default None: the current one.

        Raises:
            Unreachable: nothing says where a server is, or what says so cannot be read.
        """
        configuration = Configuration()
        try:
            # Asked for here and not by the official client, which looks when it is imported.
            files = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG", "")
            if not files and IN_CLUSTER in os.environ:
                load_incluster_config(configuration)  # type: ignore[no-untyped-call]
                namespace = own_namespace()
            else:
                files = files or KUBECONFIG
                context, namespace = context_of(files, context)
                load_kube_config(files, context, configuration, persist_config=False)  # type: ignore[no-untyped-call]
        except (ConfigException, OSError, yaml.YAMLError) as error:
            raise Unreachable(f"connect to Kubernetes: {error}") from error
        return cls(configuration, user_agent=user_agent, namespace=namespace)

    @property
    def server(self) -> str:
        """URL of the API server."""
        return str(self._configuration.host)

    def ask(self, request: Request) -> bytes:
        """Body of a good answer.

        Raises:
            Refused: the answer was no.
            Unreachable: there was no whole answer.
        """
        with no_answer_to(request.asked):
            response = self._send(request)
            try:
                body = response.data
            finally:
                response.release_conn()
        if response.status >= 300:
            raise _refusal(request, response, body)
        return body

    def open(self, request: Request) -> urllib3.BaseHTTPResponse:
        """A good answer whose body is still to be read; closing it is the caller's.

        Raises:
            Refused: the answer was no.
            Unreachable: there was no answer.
        """
        with no_answer_to(request.asked):
            response = self._send(request)
            if response.status >= 300:
                raise _refusal(request, response, response.data)
        return response

    def _send(self, request: Request) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": "application/json", "User-Agent": self._user_agent, **self._authorization()}
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        query = f"?{urlencode(request.query)}" if request.query else ""
        return self._pool.request(
            request.method,
            f"{self._configuration.host}{request.path}{query}",
            body=request.body,
            headers=headers,
            timeout=urllib3.Timeout(connect=request.connect, read=request.read),
            preload_content=False,
            redirect=False,
            retries=False,
        )

    def _authorization(self) -> dict[str, str]:
        # The official client reads a rotated token, or runs an exec plugin again, in here, and knows no threads.
        with self._credentials:
            bearer = self._configuration.auth_settings().get("BearerToken")
        return {bearer["key"]: bearer["value"]} if bearer and bearer["value"] else {}


def own_namespace() -> str:
    """The namespace that this program's pod is in."""
    return SERVICE_ACCOUNT_NAMESPACE.read_text().strip() if SERVICE_ACCOUNT_NAMESPACE.exists() else "default"


def context_of(files: str, name: str | None) -> tuple[str | None, str]:
    """The context that kubectl would choose in kubeconfigs, and its namespace.

    Of several files, the first that says something is right; the official client takes the current context of the last.

    Args:
        files: paths, separated as in KUBECONFIG; those that are not there are passed over.
        name: of the context. Default None: the current one.
    """
    paths = [path for file in files.split(os.pathsep) if file and (path := Path(file).expanduser()).exists()]
    contents = [content for path in paths if isinstance(content := yaml.safe_load(path.read_text()), dict)]
    name = name or next((content["current-context"] for content in contents if content.get("current-context")), None)
    known = (context for content in contents for context in content.get("contexts") or ())
    chosen = next((context.get("context") for context in known if context.get("name") == name), None)
    return name, (chosen or {}).get("namespace") or "default"


@contextmanager
def no_answer_to(asked: str) -> Iterator[None]:
    """Everything that keeps a whole answer from arriving becomes Unreachable."""
    try:
        yield
    except (urllib3.exceptions.HTTPError, OSError, ValueError, ConfigException) as error:
        raise Unreachable(f"{asked}: no answer: {error}") from error


def _refusal(request: Request, response: urllib3.BaseHTTPResponse, body: bytes) -> Refused:
    seconds = response.headers.get("Retry-After", "")
    # The other form of Retry-After, a date, is none that the API server sends.
    return refusal(request.asked, response.status, body, float(seconds) if seconds.isdecimal() else None)
