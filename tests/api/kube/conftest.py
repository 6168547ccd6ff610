"""A client of a real API server."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from mmaction_operator.kube import Client, Connection
from tests.cluster.api_server import ApiServer

Eventually = Callable[[Callable[[], object]], None]


def client_of(server: ApiServer, field_manager: str = "tests") -> Client:
    """An administrator's client, as fast as it can be."""
    connection = Connection.load(server.kubeconfig, user_agent="tests")
    return Client(connection=connection, field_manager=field_manager, limit=None)


@pytest.fixture
def client(server: ApiServer) -> Client:
    return client_of(server)


@pytest.fixture
def eventually() -> Eventually:
    """Waits until something is so, thirty seconds at most."""

    def eventually(so: Callable[[], object]) -> None:
        deadline = time.monotonic() + 30
        while not so():
            assert time.monotonic() < deadline, "it is still not so after thirty seconds"
            time.sleep(0.01)

    return eventually
