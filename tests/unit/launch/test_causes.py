"""Which rank failed first, and of what, from all that a failed torchrun leaves."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from mmaction_trainer.contract.errors import CollectiveFailure, DataFailure, Failure, MemoryFailure, PortFailure
from mmaction_trainer.contract.result import FailureReport
from mmaction_trainer.launch.causes import Output, cause
from tests.unit.contract.test_signs import KILLED_LOADER, WATCHDOG


def report(folder: Path, rank: int, failure: Failure, when: int) -> None:
    path = folder / f"rank-{rank}.json"
    FailureReport.of(failure).write(path)
    os.utime(path, (when, when))


def printed(text: str, first_rank: int = 0) -> Output:
    return Output(text, first_rank, {})


def test_a_rank_that_lost_its_peer_is_not_to_blame(tmp_path: Path) -> None:
    report(tmp_path, 0, CollectiveFailure("ranks", "Connection closed by peer"), when=1)
    report(tmp_path, 1, DataFailure("videos/a.avi", "does not decode"), when=2)
    failure = cause(tmp_path, printed(""))
    assert isinstance(failure, DataFailure)
    assert str(failure) == "videos/a.avi: does not decode"


def test_of_two_failures_the_first_counts(tmp_path: Path) -> None:
    report(tmp_path, 0, DataFailure("second.avi", "does not decode"), when=2)
    report(tmp_path, 1, DataFailure("first.avi", "does not decode"), when=1)
    assert "first.avi" in str(cause(tmp_path, printed("")))


def test_a_killed_rank_is_out_of_memory_even_if_its_peers_complain_of_losing_it(tmp_path: Path) -> None:
    report(tmp_path, 0, CollectiveFailure("ranks", "Connection closed by peer"), when=1)
    assert isinstance(cause(tmp_path, printed(ended_by(signal.SIGKILL)), memory_ran_out=True), MemoryFailure)
    assert isinstance(cause(tmp_path, printed(ended_by(signal.SIGKILL)), memory_ran_out=None), MemoryFailure)


def test_a_rank_that_somebody_killed_is_not_out_of_memory(tmp_path: Path) -> None:
    failure = cause(tmp_path, printed(ended_by(signal.SIGKILL)), memory_ran_out=False)
    assert (failure.name, failure.where) == ("Unknown", "rank 1")
    assert "SIGKILL" in failure.found


def test_a_crash_is_named_by_its_signal_and_rank(tmp_path: Path) -> None:
    failure = cause(tmp_path, printed(ended_by(signal.SIGSEGV)), memory_ran_out=False)
    assert str(failure).startswith("rank 1: crashed: SIGSEGV")


def test_a_rank_that_somebody_told_to_end_did_not_crash(tmp_path: Path) -> None:
    failure = cause(tmp_path, printed(ended_by(signal.SIGTERM)), memory_ran_out=False)
    assert (
        str(failure) == "rank 1: ended by SIGTERM. A user or a program of that machine did it; its log may say which."
    )


def test_a_rank_that_torchrun_told_to_end_is_not_to_blame(tmp_path: Path) -> None:
    told = "Failures:\n[1]:\n  rank      : 0 (local_rank: 0)\n  exitcode  : -15 (pid: 11)\n"
    output = printed(f"{told}Root Cause (first observed failure):\n{ended_by(signal.SIGKILL)}")
    assert cause(tmp_path, output, memory_ran_out=False).where == "rank 1"
    assert isinstance(cause(tmp_path, output, memory_ran_out=True), MemoryFailure)


def test_a_rank_that_torchrun_killed_as_it_would_not_end_is_not_to_blame(tmp_path: Path) -> None:
    killed = "Failures:\n[1]:\n  rank      : 0 (local_rank: 0)\n  exitcode  : -9 (pid: 11)\n"
    output = printed(f"{killed}Root Cause (first observed failure):\n{ended_by(signal.SIGSEGV)}")
    assert str(cause(tmp_path, output, memory_ran_out=False)).startswith("rank 1: crashed: SIGSEGV")


def ended_by(signum: signal.Signals) -> str:
    """The end of what torchrun prints of two ranks, of which one was ended by a signal and the other by losing it."""
    other = "  rank      : 0 (local_rank: 0)\n  exitcode  : 16 (pid: 11)\n"
    return f"Failures:\n{other}  rank      : 1 (local_rank: 1)\n  exitcode  : {-signum} (pid: 12)\n{'=' * 60}\n"


def test_a_port_taken_after_the_probe_is_still_a_port_failure(tmp_path: Path) -> None:
    assert isinstance(cause(tmp_path, printed("The server socket has failed to listen: EADDRINUSE")), PortFailure)


def test_without_any_report_the_last_line_is_told(tmp_path: Path) -> None:
    assert str(cause(tmp_path, printed("one\n\nlast words\n\n"))).startswith("torchrun: last words")


def said_by(local_rank: int, text: str) -> str:
    """Lines of a rank as torchrun prints them."""
    return "".join(f"[default{local_rank}]:{line}\n" for line in text.splitlines())


def test_the_rank_that_failed_first_is_told_with_its_last_lines(tmp_path: Path) -> None:
    report(tmp_path, 4, CollectiveFailure("ranks", "Connection closed by peer"), when=1)
    report(tmp_path, 5, Failure("KeyError", "nonsense"), when=2)
    output = said_by(0, "of another rank") + said_by(1, "Traceback (most recent call last):\nKeyError: 'nonsense'")
    failure = cause(tmp_path, printed(output, first_rank=4))
    assert (failure.rank, str(failure)) == (5, "KeyError: nonsense")
    assert failure.last_lines == ("Traceback (most recent call last):", "KeyError: 'nonsense'")


def test_a_sentence_that_says_all_needs_no_lines(tmp_path: Path) -> None:
    report(tmp_path, 1, DataFailure("videos/a.avi", "does not decode"), when=1)
    failure = cause(tmp_path, printed(said_by(1, "Traceback")))
    assert (failure.rank, failure.last_lines) == (1, ())


def test_a_crash_is_told_with_the_last_lines_of_its_rank(tmp_path: Path) -> None:
    last = 'Fatal Python error: Segmentation fault\n  File "x.py", line 3 in decode'
    failure = cause(tmp_path, printed(said_by(1, last) + ended_by(signal.SIGSEGV)), memory_ran_out=False)
    assert (failure.rank, failure.last_lines) == (1, tuple(last.splitlines()))


@pytest.mark.parametrize(
    ("signum", "said", "name", "says"),
    [
        pytest.param(signal.SIGABRT, WATCHDOG, "Collective", "Watchdog caught", id="NCCL's watchdog aborts it"),
        pytest.param(signal.SIGABRT, "free(): invalid pointer", "Unknown", "SIGABRT", id="it aborts"),
        pytest.param(signal.SIGBUS, "", "OutOfMemory", "/dev/shm", id="shared memory is full"),
    ],
)
def test_a_signal_has_a_class_by_what_the_rank_printed(
    signum: signal.Signals, said: str, name: str, says: str, tmp_path: Path
) -> None:
    failure = cause(tmp_path, printed(said_by(1, said) + ended_by(signum)), memory_ran_out=False)
    assert (failure.name, failure.rank) == (name, 1)
    assert says in str(failure)


def test_what_is_beneath_a_timeout_comes_before_it(tmp_path: Path) -> None:
    watchdog = said_by(0, WATCHDOG) + f"  rank      : 0 (local_rank: 0)\n  exitcode  : {-signal.SIGABRT} (pid: 11)\n"
    killed = f"  rank      : 1 (local_rank: 1)\n  exitcode  : {-signal.SIGKILL} (pid: 12)\n"
    failure = cause(tmp_path, printed(watchdog + killed), memory_ran_out=True)
    assert (failure.name, failure.rank) == ("OutOfMemory", 1)


def test_of_two_crashes_the_first_counts_which_torchrun_prints_last(tmp_path: Path) -> None:
    crash = "  rank      : {} (local_rank: {})\n  exitcode  : -11 (pid: 12)\n"
    output = f"Failures:\n{crash.format(0, 0)}Root Cause (first observed failure):\n{crash.format(1, 1)}"
    assert cause(tmp_path, printed(output)).rank == 1


def test_a_loader_that_somebody_killed_is_not_out_of_memory(tmp_path: Path) -> None:
    report(tmp_path, 0, MemoryFailure("host memory", KILLED_LOADER.strip()), when=1)
    assert cause(tmp_path, printed(""), memory_ran_out=None).name == "OutOfMemory"
    assert cause(tmp_path, printed(""), memory_ran_out=True).name == "OutOfMemory"
    assert cause(tmp_path, printed(""), memory_ran_out=False).name == "Unknown"
