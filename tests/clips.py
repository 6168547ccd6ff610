"""Real clips, with bytes of their own where two of a data set must not be one."""

from __future__ import annotations

import struct
from pathlib import Path

CLIPS = Path(__file__).parent / "data" / "clips"


def a_clip(name: str, source: str = "part_0.mp4") -> bytes:
    """A video that plays as a real one does, and has bytes of its own: an mp4 may end in boxes that are free."""
    mark = name.encode()
    return (CLIPS / source).read_bytes() + struct.pack(">I4s", 8 + len(mark), b"free") + mark
