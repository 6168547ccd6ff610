"""What the tests of ports share: a lease folder of their own, free ports, holders by name, and processes."""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from mmaction_operator.ports import Holder, LeaseFolder, PortRange
from mmaction_operator.ports.probe import in_use
from mmaction_trainer.contract.run import JobIdentity

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> LeaseFolder:
    return LeaseFolder(tmp_path / "leases", patience=10)


@pytest.fixture
def ports() -> PortRange:
    """Eight ports that nothing on this machine uses."""
    while True:
        first = random.randrange(20000, 29000)
        if not any(in_use(port) for port in range(first, first + 8)):
            return PortRange(first, first + 7, reserved=frozenset())


@pytest.fixture
def holder() -> Callable[[str], Holder]:
    """A holder for job ``team-a/NAME``."""

    def make(name: str) -> Holder:
        return Holder.of(JobIdentity(namespace="team-a", name=name, uid=f"uid-of-{name}"), NOW)

    return make


@pytest.fixture
def start() -> Iterator[Callable[..., tuple[BaseProcess, Connection]]]:
    """Run ``work(connection, *arguments)`` in a process of its own, which ends with the test."""
    # Forked: eight interpreters would take most of the time, and another user may not read this one's files.
    fork = multiprocessing.get_context("fork")
    started: list[BaseProcess] = []

    def start(work: Callable[..., None], *arguments: Any) -> tuple[BaseProcess, Connection]:
        here, there = fork.Pipe()
        process = fork.Process(target=work, args=(there, *arguments))
        process.start()
        there.close()
        started.append(process)
        return process, here

    yield start
    for process in started:
        process.kill()
        process.join()
