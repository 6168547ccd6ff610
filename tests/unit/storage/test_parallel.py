"""Work over many items: how far ahead it reads, and how it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from mmaction_trainer.storage import OnBytes, in_parallel


def counted(limit: int, taken: list[int]) -> Iterator[int]:
    for number in range(limit):
        taken.append(number)
        yield number


def test_items_are_read_only_a_little_ahead() -> None:
    taken: list[int] = []
    with closing(in_parallel(lambda item, _: item, counted(10_000, taken), workers=4)) as done:
        next(done)
        assert len(taken) <= 8
    assert len(taken) <= 8


def test_workers_work_at_the_same_time_and_every_item_comes_out_once() -> None:
    meeting = threading.Barrier(4, timeout=10)

    def work(item: int, on_bytes: OnBytes) -> int:
        meeting.wait()
        return item

    assert sorted(in_parallel(work, range(20), workers=4)) == list(range(20))


def test_a_failure_ends_transfers_that_are_under_way() -> None:
    begun, ended = threading.Event(), threading.Event()

    def work(item: int, on_bytes: OnBytes) -> None:
        if item == 1:
            begun.wait(10)
            raise LookupError("first")
        try:
            while True:
                on_bytes(1)
                begun.set()
                time.sleep(0.001)
        finally:
            ended.set()

    with pytest.raises(LookupError, match="first"):
        list(in_parallel(work, range(2), workers=2))
    assert ended.is_set()


def test_bytes_are_told_by_one_thread_at_a_time() -> None:
    total = 0

    def on_bytes(count: int) -> None:
        nonlocal total
        before = total
        time.sleep(0.0005)
        total = before + count

    def work(item: int, on_bytes: OnBytes) -> None:
        on_bytes(item)

    list(in_parallel(work, range(100), on_bytes, workers=8))
    assert total == sum(range(100))


def test_no_thread_is_left_when_the_caller_gives_up() -> None:
    with closing(in_parallel(lambda item, _: item, range(100))) as done:
        next(done)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("storage")]


def test_nothing_new_begins_after_a_failure() -> None:
    begun: list[int] = []

    def work(item: int, on_bytes: OnBytes) -> None:
        begun.append(item)
        if item == 0:
            raise LookupError
        time.sleep(0.5)

    with pytest.raises(LookupError):
        list(in_parallel(work, range(4), workers=2))
    assert 3 not in begun
