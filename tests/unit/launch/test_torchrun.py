"""torchrun's command line, and the look at its ranks."""

from __future__ import annotations

import os
from ipaddress import ip_address
from pathlib import Path

import pytest

from mmaction_trainer.contract.heartbeat import Beat, path_of
from mmaction_trainer.launch import torchrun
from mmaction_trainer.launch.interfaces import addresses, interface_of
from mmaction_trainer.launch.torchrun import Vigil, command, environment
from tests.run_folders import a_run


def test_the_rendezvous_is_on_the_leased_port_under_an_id_of_this_attempt_alone() -> None:
    words = command(a_run("uid-1", port=20123, nodes=2, processes=4), 1)
    for word in ("--nnodes=2", "--nproc-per-node=4", "--node-rank=1", "--master-port=20123", "--rdzv-id=uid-1-1"):
        assert word in words
    assert "--max-restarts=0" in words


def test_processes_of_a_node_share_its_cpus() -> None:
    one, many = (environment(a_run("a", port=1, processes=count)) for count in (1, 10_000))
    assert int(one["OMP_NUM_THREADS"]) == len(os.sched_getaffinity(0))
    assert many["OMP_NUM_THREADS"] == "1"


def test_gloo_is_told_where_nodes_have_met_unless_the_user_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine's own name may lead to an address that no other node reaches."""
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    run = a_run("a", port=1, nodes=2)
    assert "GLOO_SOCKET_IFNAME" not in environment(run)
    assert "GLOO_SOCKET_IFNAME" not in environment(run, "192.0.2.77"), "an address of no interface"
    for address in ("127.0.0.1", "::ffff:127.0.0.1"):
        assert environment(run, address)["GLOO_SOCKET_IFNAME"] == "lo"
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "eth7")
    assert environment(run, "127.0.0.1")["GLOO_SOCKET_IFNAME"] == "eth7"


def test_every_address_of_this_machine_leads_to_its_interface() -> None:
    found = list(addresses())
    assert ("lo", ip_address("127.0.0.1")) in found
    for name, address in found:
        assert interface_of(str(address)) == name


def test_time_in_which_a_video_may_be_awaited_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr(torchrun.time, "monotonic", lambda: float(next(clock)))
    path_of(tmp_path, 0).parent.mkdir()
    path_of(tmp_path, 0).write_bytes(Beat(pid=1, place=7, doing="waiting for a batch", slowest=0.2).record)
    on_its_way = True
    vigil = Vigil(a_run("uid-1", port=1), tmp_path, 0, 60.0, lambda: on_its_way)
    assert not any(vigil.look() for _ in range(300))
    on_its_way = False
    assert not any(vigil.look() for _ in range(50))
    assert any(vigil.look() for _ in range(20))
