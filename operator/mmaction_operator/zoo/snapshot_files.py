"""Reads the files of the snapshot, each at most once and only when somebody asks for it."""

import functools
import json
from importlib.resources import files
from typing import Any


@functools.cache
def read(document: str) -> dict[str, Any]:
    """The parsed file `snapshot/<document>.json`. Shared: callers copy what they hand out."""
    path = files(__package__).joinpath("snapshot", f"{document}.json")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
