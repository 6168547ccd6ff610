"""Leases between real processes: never shared, and free when, and only when, the last that holds one is gone."""

from __future__ import annotations

import math
import multiprocessing
import os
import random
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from mmaction_operator.ports import Holder, LeaseFolder, PortRange, holders, lease_gpus, lease_port, leases
from mmaction_trainer.contract.errors import DeviceFailure, PortFailure

MakeHolder = Callable[[str], Holder]
PROCESSES = 8
GPUS = ("GPU-a", "GPU-b", "GPU-c", "GPU-d")
LONG = ["sleep", "60"]

Start = Callable[..., tuple[BaseProcess, Connection]]


def _log(path: Path, what: str, since: int) -> None:
    """A span in which ``what`` was ours; one write, so that lines of several processes do not mix."""
    line = f"{what} {since} {time.monotonic_ns()} {os.getpid()}\n".encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line)
    os.close(descriptor)


def _assert_never_shared(path: Path, *, used: int) -> None:
    """No two spans of one resource overlap, and at least ``used`` of them were held by several processes in turn."""
    spans: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for line in path.read_text().splitlines():
        what, begin, end, pid = line.split()
        spans[what].append((int(begin), int(end), pid))
    for what, held in spans.items():
        for (_, until, one), (since, _, other) in pairwise(sorted(held)):
            assert until <= since, f"{what} was held by {one} and {other} at once"
    changed_hands = [what for what, held in spans.items() if len({pid for _, _, pid in held}) > 1]
    assert len(changed_hands) >= used, "too little happened for this to prove anything"


def _lease_ports(
    _: Connection, folder: LeaseFolder, ports: PortRange, holder: Holder, log: Path, together: Barrier
) -> None:
    together.wait()
    for _round in range(60):
        with lease_port(folder, ports, holder) as lease:
            since = time.monotonic_ns()
            time.sleep(random.uniform(0, 0.02))
            _log(log, str(lease.port), since)


def _lease_gpus(_: Connection, folder: LeaseFolder, holder: Holder, log: Path, together: Barrier) -> None:
    together.wait()
    for _round in range(40):
        count = random.randint(1, 3)
        with lease_gpus(folder, count, random.sample(GPUS, 4), holder, wait=math.inf) as lease:
            since = time.monotonic_ns()
            assert len(lease.devices) == count
            time.sleep(random.uniform(0, 0.003))
            for device in lease.devices:
                _log(log, device, since)


def _join(processes: list[tuple[BaseProcess, Connection]]) -> None:
    for process, _ in processes:
        process.join(60)
    assert [process.exitcode for process, _ in processes] == [0] * len(processes)


def test_processes_started_at_one_moment_never_share_a_port(
    folder: LeaseFolder, ports: PortRange, holder: MakeHolder, start: Start, tmp_path: Path
) -> None:
    # All of one job, so that all want the same port; and not one port to spare.
    assert len(ports) == PROCESSES
    log, together, x = tmp_path / "log", multiprocessing.Barrier(PROCESSES), holder("x")
    _join([start(_lease_ports, folder, ports, x, log, together) for _ in range(PROCESSES)])
    _assert_never_shared(log, used=PROCESSES // 2)


def test_processes_started_at_one_moment_never_share_a_gpu_and_all_get_theirs(
    folder: LeaseFolder, holder: MakeHolder, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "POLL", 0.003)
    log, together = tmp_path / "log", multiprocessing.Barrier(PROCESSES)
    _join([start(_lease_gpus, folder, holder(f"x{number}"), log, together) for number in range(PROCESSES)])
    _assert_never_shared(log, used=len(GPUS))


def test_of_two_runs_that_want_every_gpu_at_one_moment_one_gets_them(
    folder: LeaseFolder, holder: MakeHolder, start: Start
) -> None:
    def want_all(connection: Connection, together: Barrier) -> None:
        together.wait()
        try:
            lease = lease_gpus(folder, 4, GPUS, holder("x"))
        except DeviceFailure:
            connection.send("refused")
        else:
            connection.send("leased")
            time.sleep(60)
            lease.release()

    for _ in range(10):
        together = multiprocessing.Barrier(PROCESSES)
        processes = [start(want_all, together) for _ in range(PROCESSES)]
        outcomes = [connection.recv() for _, connection in processes]
        assert sorted(outcomes) == ["leased"] + ["refused"] * (PROCESSES - 1)
        for process, _ in processes:
            process.kill()
            process.join()


def _hold(connection: Connection, folder: LeaseFolder, ports: PortRange, holder: Holder, child: str) -> None:
    """Hold a port and a GPU until killed, with or without a child that has them too; its pid is sent."""
    with lease_port(folder, ports, holder) as port, lease_gpus(folder, 1, ["GPU-a"], holder) as gpus:
        if child == "with the lease":
            training = subprocess.Popen(LONG, pass_fds=port.pass_fds + gpus.pass_fds)
        else:
            training = subprocess.Popen(LONG, close_fds=False)
        connection.send(training.pid)
        time.sleep(60)


def _free_again(folder: LeaseFolder) -> bool:
    """Whether all is free within seconds: the kernel closes a killed process's files a moment after."""
    deadline = time.monotonic() + 10
    while holders(folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_a_killed_holder_frees_its_lease_although_a_child_lives_on(
    folder: LeaseFolder, ports: PortRange, holder: MakeHolder, start: Start
) -> None:
    single = PortRange(ports.first, ports.first)
    process, connection = start(_hold, folder, single, holder("x"), "without")
    child = connection.recv()
    try:
        with pytest.raises(PortFailure, match="team-a/x"):
            lease_port(folder, single, holder("y"))
        process.kill()
        process.join()
        assert _free_again(folder)
        os.kill(child, 0)  # raises if the child is gone too
        with lease_port(folder, single, holder("y")) as lease:
            assert lease.port == ports.first
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_training_that_outlives_its_killed_parent_keeps_port_and_gpu(
    folder: LeaseFolder, ports: PortRange, holder: MakeHolder, start: Start
) -> None:
    single = PortRange(ports.first, ports.first)
    process, connection = start(_hold, folder, single, holder("x"), "with the lease")
    training = connection.recv()
    try:
        process.kill()
        process.join()
        assert not process.is_alive()
        with pytest.raises(PortFailure, match="team-a/x"):
            lease_port(folder, single, holder("y"))
        with pytest.raises(DeviceFailure, match="GPU-a is held by team-a/x"):
            lease_gpus(folder, 1, ["GPU-a"], holder("y"))
        assert {held.holder and held.holder.job.name for held in holders(folder)} == {"x"}
    finally:
        os.kill(training, signal.SIGKILL)
    assert _free_again(folder)


def test_release_lets_go_of_this_sides_hold_only(folder: LeaseFolder, holder: MakeHolder) -> None:
    with (
        lease_gpus(folder, 1, ["GPU-a"], holder("x")) as lease,
        subprocess.Popen(LONG, pass_fds=lease.pass_fds) as training,
    ):
        lease.release()
        assert [held.which for held in holders(folder)] == ["GPU-a"]
        training.kill()
    assert holders(folder) == []
