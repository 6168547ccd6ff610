"""torchrun's command line, and which rank is to blame when it fails."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from mmaction_trainer.contract.errors import (
    CollectiveFailure,
    DataFailure,
    Failure,
    MemoryFailure,
    PortFailure,
)
from mmaction_trainer.contract.result import FailureReport
from mmaction_trainer.launch.torchrun import cause, command, environment
from tests.run_folders import a_run


def report(folder: Path, rank: int, failure: Failure, when: int) -> None:
    path = folder / f"rank-{rank}.json"
    FailureReport.of(failure).write(path)
    os.utime(path, (when, when))


def test_the_rendezvous_is_on_the_leased_port_under_an_id_of_this_attempt_alone() -> None:
    words = command(a_run("uid-1", port=20123, nodes=2, processes=4), 1)
    for word in ("--nnodes=2", "--nproc-per-node=4", "--node-rank=1", "--master-port=20123", "--rdzv-id=uid-1-1"):
        assert word in words
    assert "--max-restarts=0" in words


def test_processes_of_a_node_share_its_cpus() -> None:
    one, many = (environment(a_run("a", port=1, processes=count)) for count in (1, 10_000))
    assert int(one["OMP_NUM_THREADS"]) == len(os.sched_getaffinity(0))
    assert many["OMP_NUM_THREADS"] == "1"


def test_a_rank_that_lost_its_peer_is_not_to_blame(tmp_path: Path) -> None:
    report(tmp_path, 0, CollectiveFailure("ranks", "Connection closed by peer"), when=1)
    report(tmp_path, 1, DataFailure("videos/a.avi", "does not decode"), when=2)
    failure = cause(tmp_path, "")
    assert isinstance(failure, DataFailure)
    assert str(failure) == "videos/a.avi: does not decode"


def test_of_two_failures_the_first_counts(tmp_path: Path) -> None:
    report(tmp_path, 0, DataFailure("second.avi", "does not decode"), when=2)
    report(tmp_path, 1, DataFailure("first.avi", "does not decode"), when=1)
    assert "first.avi" in str(cause(tmp_path, ""))


def test_a_killed_rank_is_out_of_memory_even_if_its_peers_complain_of_losing_it(tmp_path: Path) -> None:
    report(tmp_path, 0, CollectiveFailure("ranks", "Connection closed by peer"), when=1)
    assert isinstance(cause(tmp_path, ended_by(signal.SIGKILL), memory_ran_out=True), MemoryFailure)
    assert isinstance(cause(tmp_path, ended_by(signal.SIGKILL), memory_ran_out=None), MemoryFailure)


def test_a_rank_that_somebody_killed_is_not_out_of_memory(tmp_path: Path) -> None:
    failure = cause(tmp_path, ended_by(signal.SIGKILL), memory_ran_out=False)
    assert (failure.name, failure.where) == ("Unknown", "rank 1")
    assert "SIGKILL" in failure.found


def test_a_crash_is_named_by_its_signal_and_rank(tmp_path: Path) -> None:
    failure = cause(tmp_path, ended_by(signal.SIGSEGV), memory_ran_out=False)
    assert str(failure).startswith("rank 1: crashed: SIGSEGV")


def test_a_rank_that_torchrun_told_to_end_is_not_to_blame(tmp_path: Path) -> None:
    told = "Failures:\n[1]:\n  rank      : 0 (local_rank: 0)\n  exitcode  : -15 (pid: 11)\n"
    output = f"{told}Root Cause (first observed failure):\n{ended_by(signal.SIGKILL)}"
    assert cause(tmp_path, output, memory_ran_out=False).where == "rank 1"
    assert isinstance(cause(tmp_path, output, memory_ran_out=True), MemoryFailure)


def test_a_rank_that_torchrun_killed_as_it_would_not_end_is_not_to_blame(tmp_path: Path) -> None:
    killed = "Failures:\n[1]:\n  rank      : 0 (local_rank: 0)\n  exitcode  : -9 (pid: 11)\n"
    output = f"{killed}Root Cause (first observed failure):\n{ended_by(signal.SIGSEGV)}"
    assert str(cause(tmp_path, output, memory_ran_out=False)).startswith("rank 1: crashed: SIGSEGV")


def ended_by(signum: signal.Signals) -> str:
    """The end of what torchrun prints of two ranks, of which one was ended by a signal and the other by losing it."""
    other = "  rank      : 0 (local_rank: 0)\n  exitcode  : 16 (pid: 11)\n"
    return f"Failures:\n{other}  rank      : 1 (local_rank: 1)\n  exitcode  : {-signum} (pid: 12)\n{'=' * 60}\n"


def test_a_port_taken_after_the_probe_is_still_a_port_failure(tmp_path: Path) -> None:
    assert isinstance(cause(tmp_path, "The server socket has failed to listen: EADDRINUSE"), PortFailure)


def test_without_any_report_the_last_line_is_told(tmp_path: Path) -> None:
    assert str(cause(tmp_path, "one\n\nlast words\n\n")).startswith("torchrun: last words")
