"""What W&B has written down of a run, read from its ``.wandb`` file.

The file is a log as LevelDB writes one: blocks of 32 KiB, in which a record is whole (1) or in parts (first 2, middle
3, last 4), each part behind four bytes of checksum, two of length and one of kind. The file begins with seven bytes of
its own. W&B itself reads it in Go alone.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from wandb.proto.wandb_internal_pb2 import Record

BLOCK, HEAD = 32768, 7
WHOLE, LAST = 1, 4


def records(file: Path) -> Iterator[Record]:
    """The records of a run, in the order in which they were told."""
    data, at, parts = file.read_bytes(), HEAD, b""
    assert data.startswith(b":W&B")
    while at + HEAD <= len(data):
        if BLOCK - at % BLOCK < HEAD:  # what is left of a block is too short for a part
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        parts += data[at + HEAD : at + HEAD + length]
        at += HEAD + length
        if kind in (WHOLE, LAST):
            yield Record.FromString(parts)
            parts = b""
