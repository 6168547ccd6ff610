"""Ranks whose videos are still on their way: they say what they read next, and wait for what is not here.

A video's file appears when it is whole, so a reader looks for it and needs no other word; where nobody fetches any
more, what is not here never comes.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterable
from pathlib import Path

from mmaction_trainer.contract.arriving import ARRIVING, LOCK, WANTED, Arriving, Split, Wanted
from mmaction_trainer.contract.errors import Interrupted
from mmaction_trainer.contract.result import FailureReport
from mmaction_trainer.contract.run import STOP

SECONDS_BETWEEN_LOOKS = 0.1
SECONDS_AFTER_STOP = 20.0
"""A training that is told to stop ends after an iteration, with a checkpoint, if its videos come so soon."""
LEFT = "The checkpoints that were saved before were left."


def told() -> Arriving | None:
    """How many videos are here, while there are more to come."""
    return Arriving.read(Path(ARRIVING)) if fetched() else None


def want(rank: int, split: Split, places: Iterable[int]) -> None:
    """Say what this rank reads next, if videos are still on their way.

    Args:
        places: in the list of the split.
    """
    if fetched():
        path = Path(WANTED) / f"rank-{rank}.json"
        path.parent.mkdir(exist_ok=True)
        Wanted(split=split, places=tuple(int(place) for place in places)).write(path)


def wait_for(video: Path) -> None:
    """Return when a video is here, or will never be.

    Raises:
        Failure: the launcher's, which keeps it from coming.
        Interrupted: the training is to stop, and it does not come soon.
    """
    asked: float | None = None
    while not video.exists():
        if not fetched():
            if not video.exists() and (failure := kept_back()):
                raise failure.cause
            return
        if asked is None and Path(STOP).exists():
            asked = time.monotonic()
        if asked is not None and time.monotonic() - asked > SECONDS_AFTER_STOP:
            raise Interrupted("training", f"stopped as asked while it waited for {video}", do=LEFT)
        time.sleep(SECONDS_BETWEEN_LOOKS)


def kept_back() -> FailureReport | None:
    """What keeps videos from coming that are not here, now that nobody fetches any more."""
    return Arriving.read(Path(ARRIVING)).failure if Path(ARRIVING).exists() else None


def fetched() -> bool:
    """Whether the launcher still fetches videos."""
    try:
        with Path(LOCK).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
