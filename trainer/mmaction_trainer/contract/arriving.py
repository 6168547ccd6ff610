"""Videos that come while ranks train: what the launcher tells the ranks, and what these tell the launcher.

While the launcher fetches, it holds a lock (flock) on ``LOCK``, which the kernel opens when it ends, however it ends.
"""

from __future__ import annotations

from typing import Literal

from .document import Document
from .result import FailureReport

ARRIVING = "data/arriving.json"
LOCK = "data/arriving.lock"
WANTED = "data/wanted"
"""Folder of a ``Wanted`` of each rank of the node."""

Split = Literal["train", "val", "test"]


class Arriving(Document):
    """How many of a data set's videos are here, and why no more come, where none do."""

    here: int
    videos: int
    failure: FailureReport | None = None

    def __str__(self) -> str:
        return f"{self.here:,} of {self.videos:,} videos are here"


class Wanted(Document):
    """What a rank reads next: places in the list of a split, in the order in which it asks for them."""

    split: Split
    places: tuple[int, ...]
