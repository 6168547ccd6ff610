"""The choice of a port on one machine: a pure function. A cluster's begins at the same place, see ``registry``."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from mmaction_trainer.contract.errors import PortFailure

from .range import PortRange

NAMED = 5
"""How many holders an error names before it only counts the rest."""


def start_of(rendezvous_id: str) -> int:
    """Where in a range an attempt begins to look.

    Attempts spread over the range, so a port that one of them has just left is not the next one's first choice, and
    the same attempt begins at the same place whoever asks.
    """
    return int.from_bytes(hashlib.sha256(rendezvous_id.encode()).digest()[:8], "big")


def choose(ports: PortRange, taken: Mapping[int, str], *, avoid: AbstractSet[int] = frozenset(), start: int = 0) -> int:
    """The first port from ``start`` on, going round, that nobody holds.

    Args:
        ports: what may be given out.
        taken: port to the name of who holds it. Which leases count is the caller's choice: those on every node, so
            that the port is unique there, or those of one node.
        avoid: ports that this job has met trouble on.
        start: offset into the range to begin at, of any size; see ``start_of``.

    Raises:
        PortFailure: none is left; says who holds how many.
    """
    for port in ports.from_offset(start):
        if port not in taken and port not in avoid:
            return port
    raise _exhausted(ports, taken, avoid)


def _exhausted(ports: PortRange, taken: Mapping[int, str], avoid: AbstractSet[int]) -> PortFailure:
    usable = list(ports.from_offset(0))
    counts = Counter(taken[port] for port in usable if port in taken)
    causes = [f"{who} holds {count}" for who, count in counts.most_common(NAMED)]
    if rest := counts.most_common()[NAMED:]:
        causes.append(f"{len(rest)} others hold {sum(count for _, count in rest)}")
    if avoided := sum(port in avoid and port not in taken for port in usable):
        causes.append(f"{avoided} avoided")
    if reserved := len(ports) - len(usable):
        causes.append(f"{reserved} reserved")
    return PortFailure(
        f"ports {ports}", f"none of {len(ports)} is left: {', '.join(causes)}", do="Wait for one, or widen the range."
    )
