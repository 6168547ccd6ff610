"""Threads that stand and fall together.

A thread that dies of a bug takes nothing else along: the process stays, answers its health checks, and does not do
its work any more. So the threads of a controller are a crew: when one of them ends before it was told to, all are told
to, and whoever runs them gets its error.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)


class Crew:
    """A group of threads; ``stopping`` is set once they should end, and every one of them watches it."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.failure: BaseException | None = None
        self._threads: list[threading.Thread] = []

    def start(self, name: str, work: Callable[[], None]) -> None:
        """Run ``work`` in a thread of its own. A daemon: whatever it hangs in must not keep the process alive."""
        thread = threading.Thread(target=self._guard, args=(name, work), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _guard(self, name: str, work: Callable[[], None]) -> None:
        try:
            work()
            if not self.stopping.is_set():
                raise RuntimeError(f"thread {name} ended, and nobody told it to")
        except BaseException as error:  # SystemExit too, which would end a thread without a word
            if not self.stopping.is_set():
                log.error("thread %s failed", name, exc_info=error)
                self.failure = error
                self.stopping.set()

    def join(self, within: float) -> bool:
        """Wait until all threads have ended; False if some have not in ``within`` seconds."""
        deadline = time.monotonic() + within
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)
