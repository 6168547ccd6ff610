"""Some of the videos opened the way MMAction2 will open them, with decord, before any training starts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from mmaction_trainer.contract.errors import ConfigFailure

from .findings import Finding, refuse

T = TypeVar("T")
SAMPLE = 5
"""Videos of a list that are decoded: what is wrong with one is mostly wrong with all."""


class Reader(Protocol):
    """What is used of ``decord.VideoReader``."""

    def __len__(self) -> int: ...

    def __getitem__(self, frame: int) -> object: ...


def check_decodes(paths: Sequence[Path], *, sample: int = SAMPLE) -> None:
    """Open some of the videos, spread evenly over the list, and decode the first and the last frame of each.

    Raises:
        DataFailure: one of them does not decode; names each that does not.
        ConfigFailure: decord is not installed.
    """
    reasons = {path: undecodable(path) for path in spread(paths, sample)}
    refuse(
        [Finding(str(path), f"does not decode: {reason}") for path, reason in reasons.items() if reason],
        accepted="videos that decord decodes",
        do="Replace them or take them off the lists, and check others like them: only some videos are decoded here.",
    )


def spread(items: Sequence[T], count: int) -> tuple[T, ...]:
    """Up to ``count`` of the items, evenly spread, the first and the last among them."""
    if len(items) <= count:
        return tuple(items)
    steps = max(count - 1, 1)
    return tuple(items[number * (len(items) - 1) // steps] for number in range(count))


def undecodable(path: Path) -> str:
    """Why a video cannot be used; empty if it can."""
    try:
        from decord import DECORDError, VideoReader
    except ImportError as error:
        raise ConfigFailure(
            "decord", f"cannot be imported: {error}", do="Install mmaction-operator[trainer], which brings it."
        ) from None
    try:
        video: Reader = VideoReader(str(path), num_threads=1)
        if not len(video):
            return "it has no frames"
        for frame in (0, len(video) - 1):
            video[frame]
    except (DECORDError, RuntimeError, IndexError) as error:
        return (str(error).strip().splitlines() or [type(error).__name__])[0]
    return ""
