"""The API server's JSON as data, whatever somebody has stored.

In fields whose schema is open an API server takes what is nested ten thousand levels deep. Python's own reader gives up
at a thousand, and with it whoever lists objects: one of them would keep a controller from all others. So what lies
deeper than any schema goes is read as null.
"""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic_core import from_json

DEEPEST = 100
"""Levels that are read."""

_PIECES = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[][{}]')


def read(body: bytes) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        return from_json(body)  # as fast as Python's own, and it gives up at 200 levels, wherever it is called
    except ValueError:
        return json.loads(_cut(body))


def _cut(body: bytes) -> bytes:
    """JSON with null for what is nested too deep."""
    kept: list[bytes] = []
    depth = begun = 0
    for piece in _PIECES.finditer(body):
        if piece[0] in b"[{":
            depth += 1
            if depth == DEEPEST + 1:
                kept += [body[begun : piece.start()], b"null"]
        elif piece[0] in b"]}":
            depth -= 1
            if depth == DEEPEST:
                begun = piece.end()
    return b"".join((*kept, body[begun:]))
