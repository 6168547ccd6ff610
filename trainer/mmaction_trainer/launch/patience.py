"""Trying again where storage fails: what a training of days came to is not lost for a minute of an S3 server's."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from mmaction_trainer.contract.errors import StorageFailure

T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds between two tries, doubled with each."""


def patiently(
    do: Callable[[], T], *, within: float, tell: Callable[[str], None], over: type[StorageFailure] = StorageFailure
) -> T:
    """What ``do`` returns, however often storage fails it first in ``within`` seconds.

    Args:
        tell: told of each failure that another try follows.
        over: the failures that another try may follow.

    Raises:
        StorageFailure: the last one, once another try would begin too late.
    """
    deadline, pause = time.monotonic() + within, FIRST_PAUSE
    while True:
        try:
            return do()
        except over as failure:
            left = deadline - time.monotonic() - pause
            if left < 0:
                raise
            tell(f"storage fails, and is tried again for {left:.0f} s: {failure}")
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
