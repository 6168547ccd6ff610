"""Whether the ranks of a node hang, decided from what they last said and for how long they have said nothing else.

Pure: time comes in as seconds between two looks. A look that is late (a machine that was suspended, a container that
was frozen, and this process with it) counts as a few seconds, as the ranks had no more than that either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mmaction_trainer.contract.errors import HangFailure
from mmaction_trainer.contract.heartbeat import OVER, Beat

FACTOR = 10.0
"""Of the slowest step so far, how many a step may take: a video that is ten times as slow as any before it is rare."""
FLOOR = 120.0
"""Seconds that every step may take: longer than an NFS server that restarts lets its clients wait (90)."""
CEILING = 1200.0
"""Seconds that no step may take longer, and that one has of which nothing is known: two thirds of what the ranks wait
for each other (``COLLECTIVE_TIMEOUT`` of the config), so that a hang is told with stacks before it is by NCCL."""
FOR_OTHER_NODES = 30.0
"""Seconds more where no rank of this node is behind: the node of the one that is shall speak first."""
LONGEST_LOOK = 5.0
"""Seconds that one look counts for at the most."""

STOPPED, IN_THE_KERNEL = "T", "D"
"""States of a process, in the kernel's letters."""
STATES = {
    STOPPED: "it is stopped, as SIGSTOP does",
    IN_THE_KERNEL: "it waits in the kernel, for a disk, a network file system or a device",
    "Z": "it has ended, and its end is not noticed",
}


@dataclass(frozen=True)
class Quiet:
    """What a rank does, and for how many seconds it has been seen to do nothing else."""

    beat: Beat
    seconds: float = 0.0

    def next(self, beat: Beat | None, elapsed: float) -> Quiet:
        """The same after another look, at which the rank said ``beat``; None where it could not be read."""
        if beat is not None and beat != self.beat:
            return Quiet(beat)
        return Quiet(self.beat, self.seconds + min(elapsed, LONGEST_LOOK))


@dataclass(frozen=True)
class Hang:
    """Ranks that get nowhere.

    Attributes:
        ranks: what each does that has not done all it had to.
        behind: those that the others wait for; none where all are equally far.
    """

    ranks: Mapping[int, Quiet]
    behind: tuple[int, ...]


STARTING = Quiet(Beat(pid=0, place=0, doing="starting Python"))
"""Of a rank that has not written yet."""


def limit(beat: Beat, floor: float = FLOOR) -> float:
    """For how many seconds a rank may do the same."""
    ceiling = max(CEILING, floor)
    return ceiling if beat.slowest is None else min(max(FACTOR * beat.slowest, floor), ceiling)


def hang_of(ranks: Mapping[int, Quiet], *, floor: float = FLOOR, alone: bool = True) -> Hang | None:
    """The hang of a node's ranks, if they do: those behind all others have done the same for too long.

    Ranks that are further do not matter, as they may wait for those behind; and these for none but each other.

    Args:
        ranks: the ranks of this node.
        floor: seconds that every step may take.
        alone: whether there is no other node, whose ranks these may wait for.
    """
    working = {rank: quiet for rank, quiet in ranks.items() if quiet.beat.doing != OVER}
    last = min((quiet.beat.place for quiet in working.values()), default=0)
    behind = tuple(rank for rank, quiet in working.items() if quiet.beat.place == last)
    known = len(behind) < len(working) or len(ranks) == 1
    patience = 0.0 if alone or known else FOR_OTHER_NODES
    if not working or any(ranks[rank].seconds <= limit(ranks[rank].beat, floor) + patience for rank in behind):
        return None
    return Hang(working, behind if len(behind) < len(working) else ())


def blamed(hang: Hang, states: Mapping[int, str]) -> int | None:
    """The rank that the others wait for, if that is one.

    Args:
        hang: what the ranks said.
        states: of their processes, in the kernel's letters. Of ranks that are equally far, one that is stopped is it.
    """
    suspects = hang.behind or tuple(hang.ranks)
    held = tuple(rank for rank in suspects if states.get(rank) in STATES)
    for candidates in (held, suspects):
        if len(candidates) == 1:
            return candidates[0]
    return None


def explained(hang: Hang, states: Mapping[int, str], last_lines: Mapping[int, tuple[str, ...]]) -> HangFailure:
    """The failure of ranks that hang.

    Args:
        hang: what the ranks said.
        states: of their processes, in the kernel's letters.
        last_lines: where each rank stands.
    """
    rank = blamed(hang, states)
    of_whom = [rank] if rank is not None else list(hang.behind or hang.ranks)
    quiet = hang.ranks[of_whom[0]]
    said = f"no progress for {quiet.seconds:.0f} s while {quiet.beat.doing}"
    if state := STATES.get(states.get(of_whom[0], "")):
        said += f": {state}"
    others = [other for other in hang.ranks if other not in of_whom]
    if others:
        said += (
            f"; {named(others)} {'waits' if len(others) == 1 else 'wait'} for {'it' if rank is not None else 'them'}"
        )
    failure = HangFailure(named(of_whom), said, do=REMEDY)
    failure.rank = rank
    failure.last_lines = last_lines.get(of_whom[0], ())
    return failure


REMEDY = (
    "Where every thread stood is in logs/stacks-attempt-N-rank-N.log of its results. Go on from the newest "
    "checkpoint, as a cluster's next attempt does; if it hangs at the same place, look at that video, that file system "
    "or that node."
)


def named(ranks: Iterable[int]) -> str:
    """Ranks in words, such as "ranks 0, 2 and 3"."""
    *most, last = [str(rank) for rank in sorted(ranks)]
    return f"ranks {', '.join(most)} and {last}" if most else f"rank {last}"
