"""What each rank does at the moment, in a small file of its own: ``heartbeats/rank-N``.

The rank writes it over and over, at each begin of something that it might never end; the launcher of its node reads it,
and so finds a rank that no longer gets anywhere. Nothing of it leaves the node.
"""

from __future__ import annotations

import signal
from pathlib import Path

from pydantic import ValidationError

from .document import Document

FOLDER = "heartbeats"
SIZE = 512
"""Bytes of the file: it is written in place, and what is shorter is filled up."""
ASK = signal.SIGUSR1
"""A process of a rank that gets this signal writes where each of its threads stands, into ``stacks/rank-N``."""
OVER = "over"
"""What a rank does that has done all it had to."""


class Beat(Document):
    """What a rank does, since it wrote so.

    Args:
        pid: of its process, which leads a process group of its own.
        place: how far it is, in things that every rank does in the same order: of several, the lowest is behind.
        doing: what it does, in words that follow "while".
        slowest: seconds that the slowest of its steps of this kind took; None where this is no such step, or the
            first, so that nothing is known of how long it may take.
    """

    pid: int
    place: int
    doing: str
    slowest: float | None = None

    @property
    def record(self) -> bytes:
        """As it stands in the file."""
        return self.model_dump_json(exclude_none=True).encode().ljust(SIZE)


def path_of(run_dir: Path, rank: int) -> Path:
    """Where a rank writes."""
    return run_dir / FOLDER / f"rank-{rank}"


def beat_of(run_dir: Path, rank: int) -> Beat | None:
    """What a rank wrote last; None where it has not yet, or writes at this moment."""
    try:
        return Beat.model_validate_json(path_of(run_dir, rank).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
