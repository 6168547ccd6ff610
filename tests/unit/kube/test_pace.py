"""Token buckets and backoff are arithmetic on a clock."""

from __future__ import annotations

import pytest

from mmaction_operator.kube import Backoff, TokenBucket
from tests.unit.kube.clock import FakeClock


def test_a_bucket_gives_its_burst_at_once_and_then_its_rate(clock: FakeClock) -> None:
    bucket = TokenBucket(10, 3, clock)
    assert [round(bucket.take(), 6) for _ in range(6)] == [0, 0, 0, 0.1, 0.2, 0.3]


def test_a_bucket_fills_up_to_its_burst_and_no_further(clock: FakeClock) -> None:
    bucket = TokenBucket(10, 3, clock)
    for _ in range(3):
        bucket.take()
    clock.pass_(3600)
    assert [round(bucket.take(), 6) for _ in range(4)] == [0, 0, 0, 0.1]


def test_who_only_tries_leaves_no_debt(clock: FakeClock) -> None:
    bucket = TokenBucket(1, 2, clock)
    assert [bucket.try_take() for _ in range(4)] == [True, True, False, False]
    clock.pass_(1)
    assert [bucket.try_take() for _ in range(2)] == [True, False]


@pytest.mark.parametrize(("failures", "seconds"), [(1, 0.5), (2, 1), (3, 2), (6, 10), (5000, 10)])
def test_backoff_doubles_up_to_its_limit(failures: int, seconds: float) -> None:
    assert Backoff(0.5, 10).after(failures) == seconds


def test_jitter_adds_up_to_its_share() -> None:
    waits = {Backoff(1, 10, jitter=0.5).after(2) for _ in range(100)}
    assert len(waits) > 50
    assert all(2 <= wait <= 3 for wait in waits)
