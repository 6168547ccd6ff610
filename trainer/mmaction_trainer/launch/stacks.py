"""Where every thread of a rank stands, and of the processes that load its data: asked of each, kept in the logs.

A process that is asked writes with faulthandler, also while it waits in native code (``runtime/heartbeat.py``).
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.heartbeat import ASK

from .hanging import STOPPED

ANSWER_WITHIN, ALL_WITHIN = 2.0, 60.0
"""Seconds that a process has to answer, and all of them together."""
FINISHED_AFTER = 0.1
"""Seconds without another word, after which an answer is complete."""
MOST_FRAMES = 8
PREFIX = "stacks-attempt-"

INSTALLED = re.compile(r'"[^"]*/site-packages/')
"""What a path begins with that is the same for all of Python's packages."""
BETWEEN = "torch/nn/modules/module.py"
"""Of frames between those of any two modules, which tell nothing."""
LOADING = "torch/utils/data/_utils/fetch.py"
WAITING = "torch/utils/data/dataloader.py"


@dataclass(frozen=True)
class Standing:
    """Where a process stands: its id, its state in the kernel's letters, and the stacks of its threads."""

    pid: int
    state: str
    stacks: str

    @property
    def frames(self) -> tuple[str, ...]:
        """Where the main thread stands, the innermost frame first: faulthandler tells of the oldest thread last."""
        lines = self.stacks.rpartition("(most recent call first):")[2].splitlines()
        frames = (INSTALLED.sub('"', line.strip()) for line in lines if line.startswith("  File "))
        return tuple(frame for frame in frames if BETWEEN not in frame)


def collect(run_dir: Path, pids: Mapping[int, int], attempt: int) -> Mapping[int, list[Standing]]:
    """Ask the processes of each rank where they stand, and leave the answers in ``logs/stacks-attempt-N-rank-N.log``.

    Args:
        run_dir: the ranks' working directory.
        attempt: the number of this one: the next one keeps what it leaves.
        pids: the process of each rank.

    Returns:
        What each rank's process answered, and after it those that load its data.
    """
    until = time.monotonic() + ALL_WITHIN
    found = {}
    for rank, pid in pids.items():
        path = run_dir / layout.STACKS / f"rank-{rank}"
        found[rank] = [ask(each, path, until) for each in (pid, *children(pid)) if answers(each)]
        told = "\n".join(f"process {each.pid}, state {each.state}\n{each.stacks}" for each in found[rank])
        (run_dir / layout.LOGS / f"{PREFIX}{attempt}-rank-{rank}.log").write_text(told)
    return found


def ask(pid: int, path: Path, until: float) -> Standing:
    """Have a process write where it stands, which one that is stopped does once it goes on."""
    before, state = size(path), state_of(pid)
    with suppress(ProcessLookupError):
        os.kill(pid, ASK)
        if state == STOPPED:
            os.kill(pid, signal.SIGCONT)
    wait_for_answer(path, before, until)
    with path.open("rb") as file:
        file.seek(before)
        return Standing(pid, state, file.read().decode(errors="replace") or "no answer\n")


def wait_for_answer(path: Path, before: int, until: float) -> None:
    """Wait until the file has grown and grows no more, for as long as an answer may take."""
    deadline, seen = min(time.monotonic() + ANSWER_WITHIN, until), before
    while time.monotonic() < deadline:
        time.sleep(FINISHED_AFTER)
        now = size(path)
        if now == seen > before:
            return
        seen = now


def size(path: Path) -> int:
    """How long a file is; nothing where it is not there."""
    return path.stat().st_size if path.exists() else 0


def innermost(standings: list[Standing]) -> tuple[str, ...]:
    """The innermost frames of a rank; where it waits for a process that loads its data, of that one."""
    if not standings:
        return ()
    own, *loaders = standings
    if any(WAITING in frame for frame in own.frames):
        for loader in loaders:
            if any(LOADING in frame for frame in loader.frames):
                return loader.frames[:MOST_FRAMES]
    return own.frames[:MOST_FRAMES]


def children(pid: int) -> list[int]:
    """Processes that a process started and that live."""
    found = []
    for path in Path("/proc", str(pid), "task").glob("*/children"):
        with suppress(OSError):
            found += [int(word) for word in path.read_text().split()]
    return sorted(found)


def answers(pid: int) -> bool:
    """Whether a process does something of its own on ``ASK``; any other would end."""
    with suppress(OSError):
        caught = re.search(r"^SigCgt:\s*(\w+)$", Path("/proc", str(pid), "status").read_text(), re.MULTILINE)
        return bool(caught and int(caught[1], 16) >> (ASK - 1) & 1)
    return False


def state_of(pid: int) -> str:
    """The state of a process, in the kernel's letters; empty where there is none."""
    with suppress(OSError):
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0]
    return ""
