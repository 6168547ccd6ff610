"""torchrun's command line."""

from __future__ import annotations

import os

from mmaction_trainer.launch.torchrun import command, environment
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
