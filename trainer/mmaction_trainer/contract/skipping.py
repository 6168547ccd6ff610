"""Corrupt videos that a training goes on without: what the ranks note, and what the results say."""

from __future__ import annotations

from .document import Document

NOTED = "skipped"
"""Folder of a ``Skipped`` of each such video, which its first reader writes."""
SKIPPED = "skipped.json"


class Skipped(Document):
    """A video that cannot be used: its file, and why."""

    video: str
    reason: str


class SkippedVideos(Document):
    """All of them, by their names."""

    videos: tuple[Skipped, ...] = ()
