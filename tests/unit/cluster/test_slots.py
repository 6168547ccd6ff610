"""Servers of tests side by side: a slot is one holder's, and goes with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.cluster.process import marked
from tests.cluster.slot import folder_of, hold_slot

HOLDER = """
import sys
from tests.cluster.process import Process
from tests.cluster.slot import hold_slot
with hold_slot() as slot:
    (slot.folder / "something").write_text("left")
    child = Process("sleeper", ["sh", "-c", "echo up; sleep 1000 & wait"], slot.folder)
    child.wait_until(lambda: "up" in child.last_words())
    print(slot.number, flush=True)
    sys.stdin.read()
"""


def start_holder() -> tuple[subprocess.Popen[str], int]:
    """A process that holds a slot and has children, and the slot's number."""
    root = Path(__file__).parents[3]
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout
    return holder, int(holder.stdout.readline())


def test_two_holders_have_different_slots_whichever_process_they_are_in() -> None:
    with hold_slot() as first, hold_slot() as second:
        other, number = start_holder()
        assert len({first.number, second.number, number}) == 3
        assert first.loopback != second.loopback
        other.communicate("")


def test_a_slot_that_is_given_back_is_empty_for_the_next() -> None:
    with hold_slot() as slot:
        (slot.folder / "file").write_text("x")
    assert not slot.folder.exists()
    with hold_slot() as again:
        assert list(again.folder.iterdir()) == []


def test_a_holder_that_ends_takes_its_processes_and_files_along() -> None:
    holder, number = start_holder()
    assert marked(folder_of(number))
    holder.communicate("")
    assert holder.returncode == 0
    assert not folder_of(number).exists()
    assert not marked(folder_of(number))


def test_the_kernel_ends_the_processes_of_a_killed_holder_and_the_next_clears_its_files() -> None:
    holder, number = start_holder()
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert (folder_of(number) / "something").exists()
    with hold_slot():
        assert not marked(folder_of(number))
        assert not (folder_of(number) / "something").exists()


def test_a_process_dies_with_its_parent_without_anybody_looking() -> None:
    holder, number = start_holder()
    children = [pid for pid in marked(folder_of(number)) if parent_of(pid) == holder.pid]
    assert children
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    deadline = time.monotonic() + 10
    while any(is_alive(pid) for pid in children):
        assert time.monotonic() < deadline, "the child lives on"
        time.sleep(0.02)


def test_a_holder_that_dies_before_its_process_knows_of_it_leaves_none(tmp_path: Path) -> None:
    hasty = (
        "import os, pathlib, sys; from tests.cluster.process import Process;"
        "Process('sleeper', ['sleep', '1000'], pathlib.Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    root = Path(__file__).parents[3]
    for _ in range(10):
        subprocess.run([sys.executable, "-c", hasty, str(tmp_path)], cwd=root, check=False)
    deadline = time.monotonic() + 10
    while marked(tmp_path):
        assert time.monotonic() < deadline, "a process lives on"
        time.sleep(0.02)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def is_alive(pid: int) -> bool:
    """Whether it runs: a process that ended stays in the table until its new parent looks."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_interrupting_a_holder_clears_its_slot() -> None:
    holder, number = start_holder()
    os.kill(holder.pid, signal.SIGINT)
    holder.communicate()
    assert not folder_of(number).exists()
    assert not marked(folder_of(number))
