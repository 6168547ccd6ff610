"""Which keys want work, and when: the part of a controller that makes everything else simple.

It promises four things, and because of them a reconcile needs no locks, no counters and no memory of its own:

- A key that was added is handed out, once for any number of times that it was added before that.
- A key is never in two workers' hands at once. Added while a worker has it, it is handed out once more afterwards.
- A key that failed comes back, later each time; that it failed is forgotten once it succeeds.
- A key has one appointment, the soonest. Whoever has worked on it says when to look again; who comes earlier is told
  of what is new and says it anew.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Hashable
from typing import Generic, TypeVar

from .pace import Backoff, Clock, TokenBucket

K = TypeVar("K", bound=Hashable)


USUAL = Backoff(first=0.005, most=1000.0)


class WorkQueue(Generic[K]):
    """Keys for any number of workers: ``get``, work, ``retry`` or ``forget``, ``done``.

    Args:
        backoff: between failures of one key. Default 5 ms, doubled up to 1000 s, as client-go has it: a conflict is
            over in milliseconds, and what has failed 18 times needs a human.
        retries: how many keys come back after failures, all keys together. Default 10 a second, bursts of 100, so
            that thousands of keys which fail for one reason do not all come back at once.
        clock: default time.monotonic.
    """

    def __init__(
        self,
        *,
        backoff: Backoff = USUAL,
        retries: TokenBucket | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._backoff, self._clock = backoff, clock
        self._retries = retries or TokenBucket(10, 100, clock)
        self._changed = threading.Condition()
        self._ready: dict[K, float] = {}  # in order; since when
        self._busy: set[K] = set()
        self._again: set[K] = set()  # busy, and added since
        self._timer: dict[K, tuple[float, int]] = {}  # when, and which timer it is
        self._timers: list[tuple[float, int, K]] = []  # a heap of them, and of void ones
        self._timers_made = 0
        self._failures: dict[K, int] = {}
        self._shut = False

    def add(self, key: K) -> None:
        """Have a key handed out as soon as possible."""
        with self._changed:
            self._add(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Have a key handed out in some seconds, unless it will be sooner."""
        with self._changed:
            due = self._clock() + seconds
            sooner = key in self._timer and self._timer[key][0] <= due
            if self._shut or key in self._ready or key in self._again or sooner:
                return
            self._set_timer(due, key)
            self._changed.notify()

    def retry(self, key: K) -> float:
        """Have a key that failed handed out after its backoff; the seconds."""
        with self._changed:
            self._failures[key] = self._failures.get(key, 0) + 1
            seconds = max(self._backoff.after(self._failures[key]), self._retries.take())
        self.add_after(key, seconds)
        return seconds

    def forget(self, key: K) -> None:
        """Forget how often a key has failed."""
        with self._changed:
            self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        """How often a key has failed in a row."""
        return self._failures.get(key, 0)

    def get(self, timeout: float | None = None) -> K | None:
        """The next key, to be given back by ``done``; None once the queue is shut, or after ``timeout`` seconds."""
        deadline = None if timeout is None else self._clock() + timeout
        with self._changed:
            while not self._shut:
                now = self._clock()
                self._ring(now)
                if self._ready:
                    key = next(iter(self._ready))
                    del self._ready[key]
                    self._busy.add(key)
                    return key
                if deadline is not None and now >= deadline:
                    return None
                ends = [at for at in (deadline, self._timers[0][0] if self._timers else None) if at is not None]
                self._changed.wait(min(ends) - now if ends else None)
        return None

    def done(self, key: K) -> None:
        """Give a key back, whatever came of it."""
        with self._changed:
            self._busy.remove(key)
            if key in self._again:
                self._again.remove(key)
                self._add(key)
            self._changed.notify_all()

    def shut_down(self) -> None:
        """Hand out nothing any more, and take nothing in."""
        with self._changed:
            self._shut = True
            self._changed.notify_all()

    def drain(self, within: float) -> bool:
        """Wait until no worker has a key; False if one still does after ``within`` seconds. Shut the queue first."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy, within)

    @property
    def depth(self) -> int:
        """How many keys want work now."""
        with self._changed:
            self._ring(self._clock())
            return len(self._ready) + len(self._again)

    @property
    def oldest(self) -> float:
        """For how many seconds the longest waiting of them has wanted it; 0 if there is none."""
        with self._changed:
            return self._clock() - min(self._ready.values(), default=self._clock())

    @property
    def busy(self) -> int:
        """How many keys are in workers' hands."""
        return len(self._busy)

    def _add(self, key: K) -> None:
        if self._shut:
            return
        self._timer.pop(key, None)
        if key in self._busy:
            self._again.add(key)
        elif key not in self._ready:
            self._ready[key] = self._clock()
            self._changed.notify()

    def _set_timer(self, due: float, key: K) -> None:
        self._timers_made += 1
        self._timer[key] = timer = (due, self._timers_made)
        heapq.heappush(self._timers, (*timer, key))
        if len(self._timers) > 2 * len(self._timer) + 100:
            # Void ones would stay until their time, an hour perhaps, and one comes with each reconcile.
            self._timers = [(*timer, key) for key, timer in self._timer.items()]
            heapq.heapify(self._timers)

    def _ring(self, now: float) -> None:
        """Make the keys ready whose time has come."""
        while self._timers and self._timers[0][0] <= now:
            *timer, key = heapq.heappop(self._timers)
            if self._timer.get(key) == tuple(timer):
                self._add(key)
