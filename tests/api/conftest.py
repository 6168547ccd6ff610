"""A real API server that knows TrainJobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
import yaml

from tests.cluster.api_server import Answer, ApiServer
from tests.cluster.chart import CRD
from tests.trainjob_cases import parametrize

NAMES = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

Create = Callable[[dict[str, Any]], Answer]

_numbers = count()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    parametrize(metafunc)


@pytest.fixture(scope="session")
def definition() -> dict[str, Any]:
    """The CustomResourceDefinition as it is shipped."""
    definition: dict[str, Any] = yaml.safe_load(CRD.read_text(encoding="utf-8"))
    return definition


@pytest.fixture(scope="session")
def server(api_server: ApiServer) -> ApiServer:
    """The API server once it serves TrainJobs."""
    api_server.define(CRD)
    return api_server


@pytest.fixture
def namespace(server: ApiServer) -> Iterator[str]:
    """A namespace that no other test uses."""
    name = f"test-{next(_numbers)}"
    server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    server.request("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture
def create(server: ApiServer, namespace: str) -> Create:
    """Creates a TrainJob in this test's namespace, unknown and duplicate fields refused."""

    def create(manifest: dict[str, Any]) -> Answer:
        manifest["metadata"]["namespace"] = namespace
        return server.request("POST", f"{jobs(namespace)}?fieldValidation=Strict", manifest)

    return create


def jobs(namespace: str) -> str:
    """Path of a namespace's TrainJobs."""
    return f"/apis/mmaction.dev/v1alpha1/namespaces/{namespace}/trainjobs"
