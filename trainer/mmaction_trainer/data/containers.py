"""Whether a video's file has its end, by what its container says of its own length.

A copy that was cut off may still open: decord shows the frames that are there, and, given the same bytes from memory
as MMAction2 gives them, has crashed on such files. AVI and MP4 state their length; of other containers nothing is said.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

RIFF_HEAD, BOX_HEAD = 8, 8
BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"moof", b"styp", b"sidx", b"uuid", b"mfra"})
"""Boxes that stand at the top of an MP4 file: anything else is no such file, or no more of it."""


def missing_bytes(path: Path) -> int:
    """Bytes that a file lacks of what it says it has; 0 where it is whole, or does not say.

    Raises:
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == b"RIFF" and head[8:] == b"AVI ":
            return max(0, RIFF_HEAD + int.from_bytes(head[4:8], "little") - size)
        if head[4:8] in BOXES:
            return max(0, end_of_boxes(file, size) - size)
    return 0


def end_of_boxes(file: BinaryIO, size: int) -> int:
    """Where the last of the top boxes of an MP4 file ends by its own word."""
    at = 0
    while at < size:
        file.seek(at)
        head = file.read(BOX_HEAD)
        if len(head) < BOX_HEAD or head[4:] not in BOXES:
            break
        length = int.from_bytes(head[:4], "big")
        if length == 1:  # the length follows, in eight bytes
            length = int.from_bytes(file.read(8), "big")
        if length < BOX_HEAD:  # 0: to the end of the file
            break
        at += length
    return at
