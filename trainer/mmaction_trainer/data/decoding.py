"""Videos opened the way MMAction2 will open them, with decord, before any training starts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from mmaction_trainer.contract.errors import ConfigFailure

from .containers import missing_bytes
from .findings import Finding, refuse

T = TypeVar("T")
SAMPLE = 5
"""Videos of a list that are decoded: what is wrong with one is mostly wrong with all."""
FEWEST = 4
"""A video may have so many times fewer frames than the model sees at once. MMAction2 shows frames again where a video
is short, and short real ones there are (HMDB51 has 18 frames where models see 32); shorter ones are pictures."""


class Reader(Protocol):
    """What is used of ``decord.VideoReader``."""

    def __len__(self) -> int: ...

    def get_batch(self, frames: list[int]) -> object: ...


@dataclass(frozen=True)
class Opened:
    """A video that was opened: its frames, and why it cannot be used, where it cannot."""

    frames: int
    fault: str = ""


def check_decodes(paths: Sequence[Path], *, sample: int = SAMPLE, skipped: Collection[Path] = ()) -> list[str]:
    """Open some of the videos, spread evenly over the list.

    Args:
        skipped: those that a training goes on without if they are broken.

    Returns:
        A warning of each of these that is.

    Raises:
        DataFailure: another of them does not decode; names each that does not.
        ConfigFailure: decord is not installed.
    """
    found = {str(path): opened(path) for path in spread(paths, sample)}
    broken, others = apart(found, {str(path) for path in skipped})
    refuse_broken(others, of=len(paths))
    return warnings_of(broken)


def apart(found: Mapping[str, Opened], skipped: Collection[str]) -> tuple[Mapping[str, Opened], Mapping[str, Opened]]:
    """Of videos that were opened, the broken ones that a training goes on without; and all others."""
    broken = {name: one for name, one in found.items() if one.fault and name in skipped}
    return broken, {name: one for name, one in found.items() if name not in broken}


def warnings_of(broken: Mapping[str, Opened]) -> list[str]:
    """What is said of broken videos that a training goes on without."""
    return [f"{name}: does not decode, and will be skipped: {one.fault}" for name, one in broken.items()]


def spread(items: Sequence[T], count: int) -> tuple[T, ...]:
    """Up to ``count`` of the items, evenly spread, the first and the last among them."""
    if len(items) <= count:
        return tuple(items)
    steps = max(count - 1, 1)
    return tuple(items[number * (len(items) - 1) // steps] for number in range(count))


def opened(path: Path) -> Opened:
    """Open a video, and decode its first frame, the one in the middle, and the last, all at once as MMAction2 does.

    Raises:
        ConfigFailure: decord is not installed.
    """
    try:
        from decord import DECORDError, VideoReader
    except ImportError as error:
        raise ConfigFailure(
            "decord", f"cannot be imported: {error}", do="Install mmaction-operator[trainer], which brings it."
        ) from None
    if missing := missing_bytes(path):
        return Opened(0, f"the file is cut off: {missing:,} bytes of it are missing")
    try:
        video: Reader = VideoReader(str(path), num_threads=1)
        count = len(video)
        if count:
            video.get_batch(sorted({0, count // 2, count - 1}))
    except (DECORDError, RuntimeError, IndexError) as error:
        return Opened(0, told(error))
    return Opened(count, "" if count else "it has no frames")


def told(error: Exception) -> str:
    """What decord says, without the line of its source that says so."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0].rpartition("ERROR ")[2]
    if "cannot find video stream" in line:
        return "it has no video stream, or one of a codec that decord does not know"
    return line


def refuse_broken(found: Mapping[str, Opened], *, of: int, skips: bool = False) -> None:
    """Refuse videos that do not decode.

    Args:
        found: those that were opened, by name.
        of: how many videos there are.
        skips: whether a share of them may be broken, which these are beyond.

    Raises:
        DataFailure: one of them does not.
    """
    share = ", or raise spec.dataset.maxSkippedShare where training videos may be skipped" if skips else ""
    others = ", and check others like them: only some videos are decoded here" if len(found) < of else ""
    refuse(
        [Finding(name, f"does not decode: {one.fault}") for name, one in found.items() if one.fault],
        accepted="videos that decord decodes",
        do=f"Replace them or take them off the lists{share}{others}.",
    )


def frames_enough(found: Mapping[str, Opened], *, frames: int, span: int) -> Iterator[str]:
    """See that videos have frames enough, and warn of those that are shorter than what the model is to see of them.

    Args:
        found: those that were opened, by name.
        frames: that the model sees at once.
        span: frames from the first of these to the last.

    Raises:
        DataFailure: one of them is next to nothing.
    """
    lengths = {name: one.frames for name, one in found.items() if not one.fault}
    refuse(
        [
            Finding(name, f"has {count} frames, and the model sees {frames} at once")
            for name, count in lengths.items()
            if count * FEWEST < frames
        ],
        accepted=f"videos of at least {-(-frames // FEWEST)} frames",
        do="Take them off the lists, or lower spec.input.frames.",
    )
    short = {name: count for name, count in lengths.items() if count < span}
    if short:
        name, count = next(iter(short.items()))
        yield (
            f"{len(short):,} of {len(lengths):,} videos that were decoded are shorter than a clip, which spans {span} "
            f"frames, such as {name} with {count}: frames are shown again"
        )
