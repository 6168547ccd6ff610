"""How fast, and how soon again: a token bucket, and exponential backoff.

A bucket keeps a busy program from overrunning a server; backoff keeps a failing one from hammering it. Both are
arithmetic on a clock that is passed in: who asks is told how long to wait, and waits in a way of its own.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

Clock = Callable[[], float]
"""Seconds that only ever grow, such as time.monotonic."""


class TokenBucket:
    """``rate`` tokens a second, and ``burst`` of them saved up at most.

    Args:
        clock: default time.monotonic.
    """

    def __init__(self, rate: float, burst: float, clock: Clock = time.monotonic) -> None:
        self.rate, self.burst = rate, burst
        self._clock, self._lock = clock, threading.Lock()
        self._tokens, self._at = float(burst), clock()

    def take(self) -> float:
        """Take a token, and be told in how many seconds it may be used; those who wait, wait in order."""
        with self._lock:
            self._refill()
            self._tokens -= 1
            return max(0.0, -self._tokens / self.rate)

    def try_take(self) -> bool:
        """Take a token only if one is there."""
        with self._lock:
            self._refill()
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True

    def _refill(self) -> None:
        now = self._clock()
        self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
        self._at = now


@dataclass(frozen=True)
class Backoff:
    """Twice as long after each failure.

    Args:
        first: seconds after the first failure.
        most: seconds at most.
        jitter: a random part of the wait is added, up to this share of it, so that many who failed together do not
            come back together. Default 0.
    """

    first: float
    most: float
    jitter: float = 0.0

    def after(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row, one at least."""
        # The exponent is bounded: a float overflows after a thousand failures.
        wait = min(self.most, self.first * 2.0 ** min(failures - 1, 64))
        return wait * (1 + self.jitter * random.random())
