"""Many objects at a time: some threads, few objects waiting, and an end at the first failure."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TypeVar

from .interface import OnBytes, Storage, Stored

T = TypeVar("T")
R = TypeVar("R")

WORKERS = 16


class _Halted(Exception):
    """Ends a transfer whose outcome nobody waits for any more."""


class _Turns:
    """Lets one thread at a time tell ``on_bytes``, and ends every transfer once ``halt`` was called."""

    def __init__(self, on_bytes: OnBytes | None) -> None:
        self._on_bytes, self._lock, self._halted = on_bytes, threading.Lock(), threading.Event()

    def halt(self) -> None:
        self._halted.set()

    def __call__(self, count: int) -> None:
        if self._halted.is_set():
            raise _Halted
        if self._on_bytes:
            with self._lock:
                self._on_bytes(count)


def in_parallel(
    work: Callable[[T, OnBytes], R],
    items: Iterable[T],
    on_bytes: OnBytes | None = None,
    *,
    workers: int = WORKERS,
    ahead: int | None = None,
) -> Generator[R, None, None]:
    """Yield ``work(item, on_bytes)`` of each item as it is done.

    ``items`` is read at most ``ahead`` of what is done, by default 2 x ``workers``. The first failure, an exception of
    the caller's loop (use it within ``contextlib.closing``) and Ctrl-C end it: nothing new begins, transfers under way
    stop at their next bytes.
    """
    turns, pool = _Turns(on_bytes), ThreadPoolExecutor(workers, thread_name_prefix="storage")
    source, waiting, most = iter(items), set[Future[R]](), ahead or 2 * workers
    try:
        while True:
            waiting |= {pool.submit(work, item, turns) for item in islice(source, most - len(waiting))}
            if not waiting:
                return
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    finally:
        turns.halt()
        pool.shutdown(wait=True, cancel_futures=True)


def download_many(
    storage: Storage,
    pairs: Iterable[tuple[str, Path]],
    on_done: Callable[[Stored], None] | None = None,
    *,
    on_bytes: OnBytes | None = None,
    workers: int = WORKERS,
) -> int:
    """Download each (key, path) pair, and return how many there were.

    ``on_done`` is called in the caller's thread as each file is there. Files that were complete before a failure stay.

    Raises:
        StorageFailure: the first failure of any of them.
    """
    count = 0

    def download(pair: tuple[str, Path], on_bytes: OnBytes) -> Stored:
        return storage.download(*pair, on_bytes)

    with closing(in_parallel(download, pairs, on_bytes, workers=workers)) as arrived:
        for stored in arrived:
            count += 1
            if on_done:
                on_done(stored)
    return count
