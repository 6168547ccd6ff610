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
from kubernetes.client.configuration import Configuration
from kubernetes.client.rest import RESTClientObject
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config
from yaml import YAMLError

from .errors import Refused, Unreachable, refusal

POOL = 32
"""Connections kept open: one for each worker and watch, or every request in excess makes a TLS handshake."""

IN_CLUSTER = "KUBERNETES_SERVICE_HOST"


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
    """

    def __init__(self, configuration: Configuration, *, user_agent: str) -> None:
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
            kubeconfig: default None: KUBECONFIG, then the pod's service account, then ``~/.kube/config``.
            context: default None: the current one.

        Raises:
            Unreachable: nothing says where a server is, or what says so cannot be read.
        """
        configuration = Configuration()
        try:
            # Asked for here and not by the official client, which looks when it is imported.
            file = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG")
            if file is None and IN_CLUSTER in os.environ:
                load_incluster_config(configuration)  # type: ignore[no-untyped-call]
            else:
                load_kube_config(file, context, configuration, persist_config=False)  # type: ignore[no-untyped-call]
        except (ConfigException, OSError, YAMLError) as error:
            raise Unreachable(f"connect to Kubernetes: {error}") from error
        return cls(configuration, user_agent=user_agent)

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
