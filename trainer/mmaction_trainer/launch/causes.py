"""Which rank failed first, and of what: by the reports that ranks leave, torchrun's summary, and what was printed."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mmaction_trainer.contract.errors import CollectiveFailure, Failure, MemoryFailure, PortFailure
from mmaction_trainer.contract.result import FailureReport
from mmaction_trainer.contract.signs import sign_of

from . import last_lines

ENDED_BY_SIGNAL = re.compile(r"rank\s*:\s*(\d+) \(local_rank: (\d+)\)[^\n]*\n\s*exitcode\s*:\s*-(\d+)\b")
FIRST = "Root Cause (first observed failure):"
"""What torchrun prints before the rank that failed first, which comes after the others."""
PORT_TAKEN = re.compile(r"EADDRINUSE|Address already in use")
TAIL = 200
"""Lines at the end of a rank's output in which signs are looked for."""
WITH_LINES = (Failure.name, MemoryFailure.name, CollectiveFailure.name)
"""Classes of which a rank's last lines tell more than the message: others name what is to be mended."""


@dataclass(frozen=True)
class Output:
    """What torchrun and the ranks of this node printed.

    Attributes:
        text: all of it.
        first_rank: the number of this node's first rank.
        environment: of the ranks.
    """

    text: str
    first_rank: int
    environment: Mapping[str, str]

    def of_rank(self, rank: int) -> list[str]:
        """What one rank printed."""
        return last_lines.of_rank(self.text, rank - self.first_rank)

    def blame(self, failure: Failure, rank: int) -> Failure:
        """Say which rank failed, and its last lines where they tell more."""
        failure.rank = rank
        if failure.name in WITH_LINES:
            failure.last_lines = last_lines.last(self.of_rank(rank), self.environment)
        return failure


def cause(reports: Path, output: Output, memory_ran_out: bool | None = None) -> Failure:
    """The failure of the rank that failed first.

    When a rank dies, its peers fail too, as they lose it: any other class comes before Collective.

    Args:
        reports: the folder where ranks leave their failures.
        output: what was printed.
        memory_ran_out: whether the kernel killed processes meanwhile to have memory; None where that is not known.
    """
    told = [output.blame(doubted(failure, memory_ran_out), rank) for rank, failure in reported(reports)]
    crashed = [output.blame(of_signal(*ended, output, memory_ran_out), ended[0]) for ended in by_signal(output.text)]
    found = told + crashed
    if own := [failure for failure in found if not isinstance(failure, CollectiveFailure)]:
        return own[0]
    if not told and PORT_TAKEN.search(output.text):
        return PortFailure("rendezvous", "the port was taken between the probe and torchrun")
    if found:
        return found[0]
    lines = [line for line in output.text.splitlines() if line.strip(" =-")]
    return Failure("torchrun", lines[-1][:400] if lines else "ended without a word", do="The log has the rest.")


def reported(reports: Path) -> list[tuple[int, Failure]]:
    """Ranks that left a report, the first of them first, and what it says."""
    files = sorted(reports.glob("rank-*.json"), key=lambda file: file.stat().st_mtime_ns)
    return [(int(file.stem.removeprefix("rank-")), FailureReport.read(file).cause) for file in files]


def doubted(failure: Failure, memory_ran_out: bool | None) -> Failure:
    """The failure that a rank reports; of a loader that was killed it cannot tell why, and the kernel can."""
    if memory_ran_out is False and "killed by signal: Killed" in failure.found:
        return Failure("a process that loads data", "killed by SIGKILL, and not for memory", do=SOMEBODY)
    return failure


def by_signal(text: str) -> list[tuple[int, int]]:
    """Ranks that a signal ended, and which: the first of them first, and at last those that torchrun told to end."""
    others, _, first = text.rpartition(FIRST)
    found = [match for part in (first, others) for match in ENDED_BY_SIGNAL.finditer(part)]
    ended = [(int(match[1]), int(match[3])) for match in found]
    return sorted(ended, key=lambda each: each[1] == signal.SIGTERM)


def of_signal(rank: int, number: int, output: Output, memory_ran_out: bool | None) -> Failure:
    """The failure of a rank that a signal ended."""
    name = {each.value: each.name for each in signal.Signals}.get(number, f"signal {number}")
    where = f"rank {rank}"
    if number == signal.SIGKILL and memory_ran_out is not False:
        what = "the kernel killed it as" if memory_ran_out else "killed, as the kernel does when"
        return MemoryFailure(where, f"{what} memory ran out", do=MemoryFailure.remedy)
    if number == signal.SIGKILL:
        return Failure(where, "killed by SIGKILL, and not for memory", do=SOMEBODY)
    if number == signal.SIGTERM:
        return Failure(where, "ended by SIGTERM", do=SOMEBODY)
    if number == signal.SIGBUS:
        return MemoryFailure(where, "crashed: SIGBUS, as where /dev/shm is full", do=SHARED_MEMORY)
    if told := sign_of("\n".join(output.of_rank(rank)[-TAIL:])):
        return told
    return Failure(where, f"crashed: {name}", do="The log has its last lines; a video may have crashed its decoder.")


SOMEBODY = "A user or a program of that machine did it; its log may say which."
SHARED_MEMORY = "Raise resources.memoryPerNode, which bounds it on a cluster, or lower training.workers."
