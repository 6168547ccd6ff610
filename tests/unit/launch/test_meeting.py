"""Launchers meet their own and refuse strangers."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import pytest

from mmaction_trainer.contract.errors import CollectiveFailure, IdentityFailure, PortFailure
from mmaction_trainer.launch.interfaces import interface_of
from mmaction_trainer.launch.meeting import bound, meet
from tests.run_folders import a_run, free_port


def in_background(action: Callable[[], object]) -> tuple[threading.Thread, list[BaseException]]:
    raised: list[BaseException] = []

    def body() -> None:
        try:
            action()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    return thread, raised


def test_one_node_meets_nobody_and_leaves_the_port_free() -> None:
    run = a_run("a", port=free_port())
    assert meet(run, 0, within=1) is None
    with bound(run.rendezvous.port):
        pass


def test_a_port_held_by_a_plain_socket_is_a_port_failure() -> None:
    with socket.socket() as foreign:
        foreign.bind(("127.0.0.1", 0))
        foreign.listen()
        port = foreign.getsockname()[1]
        with pytest.raises(PortFailure, match=f"port {port}: held by a process outside"):
            meet(a_run("a", port=port), 0, within=1)


def test_a_port_just_used_by_an_earlier_attempt_is_no_conflict() -> None:
    run = a_run("a", port=free_port(), nodes=2)
    for _ in range(3):
        first, raised = in_background(lambda: meet(run, 0, within=10))
        meet(run, 1, within=10)
        first.join()
        assert not raised


def test_all_nodes_of_an_attempt_meet() -> None:
    run = a_run("a", port=free_port(), nodes=3)
    nodes = [in_background(lambda rank=rank: meet(run, rank, within=10)) for rank in (2, 1, 0)]  # type: ignore[misc]
    for thread, raised in nodes:
        thread.join(10)
        assert not raised


def test_each_node_learns_the_address_at_which_it_met_another() -> None:
    """As sockets have it: that of the first node takes callers of both versions of IP."""
    run, found = a_run("a", port=free_port(), nodes=2), dict[int, str | None]()
    first, raised = in_background(lambda: found.update({0: meet(run, 0, within=10)}))
    found[1] = meet(run, 1, within=10)
    first.join(10)
    assert not raised
    assert [interface_of(found[node] or "") for node in (0, 1)] == ["lo", "lo"]


def test_a_stranger_is_refused_and_does_not_take_the_place_of_a_node() -> None:
    port = free_port()
    ours, theirs = a_run("a", port=port, nodes=2), a_run("b", port=port, nodes=2)
    first, raised = in_background(lambda: meet(ours, 0, within=10))
    with pytest.raises(IdentityFailure, match=r"belongs to default/job-a \(uid a, attempt 1\)"):
        meet(theirs, 1, within=10)
    assert first.is_alive()
    meet(ours, 1, within=10)
    first.join(10)
    assert not raised


def test_noise_on_the_port_does_not_end_the_wait() -> None:
    run = a_run("a", port=free_port(), nodes=2)
    first, raised = in_background(lambda: meet(run, 0, within=10))
    for noise in (b"GET / HTTP/1.1\r\n\r\n", b"[]\n", b"x" * 10_000, b""):
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", run.rendezvous.port), timeout=1) as caller:
                    caller.sendall(noise)
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
    meet(run, 1, within=10)
    first.join(10)
    assert not raised


def test_a_node_that_does_not_come_is_named() -> None:
    with pytest.raises(CollectiveFailure, match=r"nodes \[1, 2\] of 3 did not come"):
        meet(a_run("a", port=free_port(), nodes=3), 0, within=0.3)


def test_a_first_node_that_is_not_there_is_named() -> None:
    port = free_port()
    with pytest.raises(CollectiveFailure, match=f"no launcher answers at 127.0.0.1:{port}"):
        meet(a_run("a", port=port, nodes=2), 1, within=0.3)
