"""What the tests of the controller core share: a scripted server, a client of it, a clock that stands still."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from kubernetes.client.configuration import Configuration

from mmaction_operator.kube import Client, Connection, Patience
from tests.unit.kube.clock import FakeClock
from tests.unit.kube.scripted import ScriptedServer


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def slept() -> list[float]:
    """What the client would have waited."""
    return []


@pytest.fixture
def client(server: ScriptedServer, slept: list[float]) -> Client:
    """A client of the scripted server that never really waits."""
    connection = Connection(Configuration(host=server.url), user_agent="tests")
    patience = Patience(connect=2, read=2)
    return Client(connection=connection, field_manager="tests", patience=patience, limit=None, sleep=slept.append)


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    """Waits until something is so, five seconds at most."""

    def eventually(so: Callable[[], object]) -> None:
        deadline = time.monotonic() + 5
        while not so():
            assert time.monotonic() < deadline, "it is still not so after five seconds"
            time.sleep(0.005)

    return eventually
