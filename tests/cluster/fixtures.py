"""Servers for tests, each started when a test first asks for it and ended after the last one.

``api_server`` and ``control_plane`` need no root; ``cluster`` does, and says so.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .api_server import ApiServer, start_api_server
from .clusters import Cluster, start_cluster
from .control_plane import ControlPlane, start_control_plane
from .fault_proxy import FaultProxy, start_fault_proxy
from .product import product_images, product_layout
from .s3 import S3Server, start_rclone, start_s3
from .times import taken


@pytest.fixture(scope="session")
def api_server() -> Iterator[ApiServer]:
    """etcd and the API server alone."""
    with start_api_server() as server:
        yield server


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """Scheduler and controllers too, and nodes that KWOK plays."""
    with start_control_plane() as plane:
        yield plane


@pytest.fixture(scope="session")
def images() -> dict[str, str]:
    """References of the product's images, by ``operator`` and ``trainer``; root."""
    return product_images()


@pytest.fixture(scope="session")
def cluster(images: dict[str, str]) -> Iterator[Cluster]:
    """Two real nodes with the product's images, and an S3 server; root."""
    with start_cluster(nodes=2, images=dict.fromkeys(images.values(), product_layout())) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """An S3 server that keeps the protocol."""
    with start_s3() as server:
        yield server


@pytest.fixture(scope="session")
def rclone() -> Iterator[S3Server]:
    """An S3 server that does not keep it everywhere."""
    with start_rclone() as server:
        yield server


@pytest.fixture(scope="session")
def fault_proxy() -> Iterator[FaultProxy]:
    """A TCP proxy that a test can make cut, slow and truncate."""
    with start_fault_proxy() as proxy:
        yield proxy


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell how long what the tests ran against took to build and start."""
    if taken:
        terminalreporter.section("servers and images")
        for what, seconds in taken:
            terminalreporter.line(f"{seconds:7.1f} s  {what}")
