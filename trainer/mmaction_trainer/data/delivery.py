"""The videos that are not here when ranks start, on their way while these train.

A thread of the launcher fetches them in the order in which the ranks of this node say that they read them, and what no
rank has asked for yet in the order of the lists: training, validation, test. A rank that needs one that is not here
waits for it; so storage that is away costs time, and a clip is what it would have been. A video that does not come for
``patience`` seconds ends the delivery, and with it the attempt.
"""

from __future__ import annotations

import fcntl
import itertools
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

from mmaction_trainer.contract.arriving import ARRIVING, LOCK, WANTED, Arriving, Wanted
from mmaction_trainer.contract.errors import DataFailure, Failure, StorageFailure
from mmaction_trainer.contract.result import FailureReport
from mmaction_trainer.storage import ObjectMissing, OnBytes, Stored, in_parallel, open_storage

from .cache import Cache
from .fetching import Awaited

AT_ONCE = 16
"""Videos that are under way at a time. What is not begun may still be overtaken."""
PATIENCE = 600.0
"""Seconds that a video is asked for again; ranks wait three times as long for each other."""
LONGEST_PAUSE = 15.0
"""Seconds between two tries: 0.5, doubled with each."""
SECONDS_BETWEEN_LOOKS = 0.2
SECONDS_BETWEEN_REPORTS = 0.5
SECONDS_BETWEEN_WARNINGS = 30.0
SECONDS_TO_END = 2.0


class _Ended(Exception):
    """Nobody waits for the videos any more."""


class Delivery:
    """Brings what is awaited, from ``start`` to ``end``.

    Args:
        awaited: what is not here.
        cache: where it comes to.
        run_dir: of the attempt; ranks look there for what is told, and say there what they read next.
        skips: whether a training may go on without a video that has vanished.
        patience: seconds that one video may fail to come.
    """

    def __init__(
        self, awaited: Awaited, cache: Cache, run_dir: Path, *, skips: bool = False, patience: float = PATIENCE
    ) -> None:
        self.awaited, self.cache, self.run_dir, self.patience = awaited, cache, run_dir, patience
        self.tested = {key for split, keys in awaited.lists.items() if split != "train" for key in keys}
        self.skips = skips
        self.storage = open_storage(awaited.uri)
        self.videos = len({key for keys in awaited.lists.values() for key in keys})
        self.absent = len(awaited.files)
        self.failure: Failure | None = None
        self.ending = threading.Event()
        self.warned = float("-inf")
        self.thread = threading.Thread(target=self._work, name="delivery", daemon=True)

    def start(self) -> None:
        """Begin to fetch; ranks that start from now on wait for what is not here."""
        self._tell()
        if not self.awaited.files:
            return
        self.lock = (self.run_dir / LOCK).open("a")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.thread.start()

    def wait(self, within: float | None = None) -> None:
        """Wait until all have come, or no more do, for so many seconds at most."""
        if self.thread.ident:
            self.thread.join(within)

    def end(self) -> None:
        """Fetch nothing more; what is under way stops, but for requests that storage does not answer."""
        self.ending.set()
        self.wait(SECONDS_TO_END)

    def check(self) -> None:
        """See that nothing has kept a video from coming.

        Raises:
            DataFailure: one has vanished from storage.
            StorageFailure: one does not come.
            DiskFailure: the disk is full.
        """
        if self.failure:
            raise self.failure

    def _work(self) -> None:
        told = time.monotonic()
        try:
            queue = Queue(self.awaited, self.run_dir / WANTED)
            with closing(in_parallel(self._bring, queue, self._go_on, workers=AT_ONCE, ahead=AT_ONCE)) as arrived:
                for _ in arrived:
                    self.absent -= 1
                    if time.monotonic() - told > SECONDS_BETWEEN_REPORTS:
                        told = time.monotonic()
                        self._tell()
        except _Ended:
            pass
        except Failure as failure:
            self.failure = failure
        except Exception as error:
            self.failure = Failure("videos", f"cannot be fetched: {type(error).__name__}: {error}")
        finally:
            self._tell()
            self.lock.close()

    def _bring(self, file: Stored, on_bytes: OnBytes) -> None:
        """Fetch a video, again and again where storage fails."""
        began, pause = time.monotonic(), 0.5
        while True:
            try:
                return self.cache.bring(self.storage, self.awaited.here, file, on_bytes)
            except ObjectMissing:
                if self.skips and file.key not in self.tested:
                    return self.cache.leave_empty(self.awaited.here / file.key)
                where = f"{self.storage.uri}/{file.key}"
                do = "Take it off the lists, or put it back."
                raise DataFailure(where, "has vanished: it was there when the attempt began", do=do) from None
            except StorageFailure as failure:
                if time.monotonic() - began > self.patience:
                    raise
                self._warn(failure)
            self.ending.wait(pause)
            on_bytes(0)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _go_on(self, count: int) -> None:
        if self.ending.is_set():
            raise _Ended

    def _warn(self, failure: Failure) -> None:
        if time.monotonic() - self.warned > SECONDS_BETWEEN_WARNINGS:
            self.warned = time.monotonic()
            print(f"warning: a video does not come yet: {failure}", flush=True)

    def _tell(self) -> None:
        failure = FailureReport.of(self.failure) if self.failure else None
        arriving = Arriving(here=self.videos - self.absent, videos=self.videos, failure=failure)
        arriving.write(self.run_dir / ARRIVING)


class Queue:
    """The awaited files, each once: those first that ranks say they read next.

    Args:
        awaited: what is not here.
        wanted: the folder where ranks say so; it may be made later.
    """

    def __init__(self, awaited: Awaited, wanted: Path) -> None:
        self.lists, self.wanted = awaited.lists, wanted
        self.files = dict(awaited.files)
        self.rest = deque(dict.fromkeys(key for keys in self.lists.values() for key in keys))
        self.first: deque[str] = deque()
        self.seen: Mapping[Path, int] = {}
        self.looked = float("-inf")

    def __iter__(self) -> Iterator[Stored]:
        while self.files:
            self._look()
            key = (self.first or self.rest).popleft()
            if key in self.files:
                yield self.files.pop(key)

    def _look(self) -> None:
        """Put first what ranks say, where they have said something new."""
        if time.monotonic() - self.looked < SECONDS_BETWEEN_LOOKS:
            return
        self.looked = time.monotonic()
        seen = {path: path.stat().st_mtime_ns for path in sorted(self.wanted.glob("rank-*.json"))}
        if seen != self.seen:
            self.seen = seen
            self.first = deque(in_turn(self._keys(Wanted.read(path)) for path in seen))

    def _keys(self, wanted: Wanted) -> Iterator[str]:
        keys = self.lists[wanted.split]
        return (keys[place % len(keys)] for place in wanted.places)  # a config may repeat a data set


def in_turn(orders: Iterable[Iterable[str]]) -> Iterator[str]:
    """The first of each, then the second of each, and so on: ranks step together."""
    for step in itertools.zip_longest(*orders):
        yield from (key for key in step if key is not None)
