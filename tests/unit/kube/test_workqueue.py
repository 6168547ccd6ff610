"""The promises of the work queue, on a clock that stands still; and with real threads, what only threads can break."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mmaction_operator.kube import TokenBucket, WorkQueue
from tests.unit.kube.clock import FakeClock


@pytest.fixture
def queue(clock: FakeClock) -> WorkQueue[str]:
    return WorkQueue(clock=clock)


def ready(queue: WorkQueue[str]) -> list[str]:
    """All keys that are handed out now; each is given back at once."""
    keys = []
    while (key := queue.get(timeout=0)) is not None:
        keys.append(key)
        queue.done(key)
    return keys


def test_keys_come_in_the_order_in_which_they_were_added(queue: WorkQueue[str]) -> None:
    for key in "cab":
        queue.add(key)
    assert ready(queue) == ["c", "a", "b"]


def test_a_key_added_many_times_comes_once(queue: WorkQueue[str]) -> None:
    for key in "aabab":
        queue.add(key)
    assert ready(queue) == ["a", "b"]


def test_a_key_is_in_one_hand_only_and_comes_once_more_if_it_was_added_meanwhile(queue: WorkQueue[str]) -> None:
    queue.add("a")
    assert queue.get(timeout=0) == "a"
    for _ in range(3):
        queue.add("a")
    assert queue.get(timeout=0) is None
    queue.done("a")
    assert ready(queue) == ["a"]


def test_a_key_that_nobody_added_meanwhile_does_not_come_again(queue: WorkQueue[str]) -> None:
    queue.add("a")
    assert ready(queue) == ["a"]
    assert ready(queue) == []


@pytest.mark.parametrize(
    ("appointments", "handed_out_at"),
    [
        pytest.param([5], [5], id="not before its time"),
        pytest.param([5, 9], [5], id="a later one changes nothing"),
        pytest.param([9, 5], [5], id="a sooner one takes its place"),
        pytest.param([9, 0], [0], id="now takes the place of later"),
        pytest.param([9, None], [0], id="adding it takes the place of later"),
        pytest.param([None, 9], [0], id="it is there already"),
    ],
)
def test_a_key_has_one_appointment_and_it_is_the_soonest(
    queue: WorkQueue[str], clock: FakeClock, appointments: list[int | None], handed_out_at: list[int]
) -> None:
    for seconds in appointments:
        if seconds is None:
            queue.add("a")
        else:
            queue.add_after("a", seconds)
    begun, at = clock.now, []
    for _ in range(12):
        at += [clock.now - begun for _ in ready(queue)]
        clock.pass_(1)
    assert at == handed_out_at


def test_a_key_whose_time_comes_while_it_is_worked_on_comes_afterwards(queue: WorkQueue[str], clock: FakeClock) -> None:
    queue.add("a")
    assert queue.get(timeout=0) == "a"
    queue.add_after("a", 5)
    clock.pass_(6)
    assert queue.get(timeout=0) is None
    queue.done("a")
    assert ready(queue) == ["a"]


def test_an_appointment_made_while_it_is_worked_on_outlasts_the_work(queue: WorkQueue[str], clock: FakeClock) -> None:
    queue.add("a")
    assert queue.get(timeout=0) == "a"
    queue.add_after("a", 5)
    queue.done("a")
    assert ready(queue) == []
    clock.pass_(5)
    assert ready(queue) == ["a"]


def test_a_key_that_fails_comes_back_twice_as_late_each_time_up_to_1000_seconds(queue: WorkQueue[str]) -> None:
    seconds = [queue.retry("a") for _ in range(20)]
    assert seconds[:4] == [0.005, 0.01, 0.02, 0.04]
    assert seconds[17:] == [0.005 * 2**17, 1000, 1000]
    assert queue.failures("a") == 20


def test_a_key_that_fails_comes_back_when_its_backoff_is_over(queue: WorkQueue[str], clock: FakeClock) -> None:
    for _ in range(10):
        queue.retry("a")
    wait = queue.retry("b")
    assert ready(queue) == []
    clock.pass_(wait)
    assert ready(queue) == ["a", "b"]  # "a" at the soonest of its appointments


def test_success_is_a_fresh_start(queue: WorkQueue[str]) -> None:
    for _ in range(9):
        queue.retry("a")
    queue.forget("a")
    assert queue.failures("a") == 0
    assert queue.retry("a") == 0.005


def test_one_key_that_fails_does_not_slow_another(queue: WorkQueue[str]) -> None:
    for _ in range(9):
        queue.retry("a")
    assert queue.retry("b") == 0.005


def test_thousands_of_keys_that_fail_together_come_back_ten_a_second(queue: WorkQueue[str], clock: FakeClock) -> None:
    for number in range(300):
        queue.retry(str(number))
    clock.pass_(0.005)
    assert len(ready(queue)) == 100
    for _ in range(5):
        clock.pass_(1)
        assert len(ready(queue)) == 10


def test_depth_and_age_tell_what_waits(queue: WorkQueue[str], clock: FakeClock) -> None:
    queue.add("a")
    clock.pass_(3)
    queue.add("b")
    queue.add_after("later", 60)
    clock.pass_(2)
    assert (queue.depth, queue.oldest, queue.busy) == (2, 5, 0)
    assert queue.get(timeout=0) == "a"
    queue.add("a")
    assert (queue.depth, queue.oldest, queue.busy) == (2, 2, 1)
    queue.done("a")
    ready(queue)
    assert (queue.depth, queue.oldest, queue.busy) == (0, 0, 0)


def test_void_appointments_do_not_pile_up(queue: WorkQueue[str]) -> None:
    for _ in range(5000):
        queue.add_after("a", 3600)
        queue.add("a")
        ready(queue)
    assert len(queue._timers) < 500


def test_a_shut_queue_hands_out_nothing_and_takes_nothing_in(queue: WorkQueue[str], clock: FakeClock) -> None:
    queue.add("a")
    queue.add_after("b", 1)
    queue.shut_down()
    queue.add("c")
    queue.retry("d")
    clock.pass_(10)
    assert queue.get() is None
    assert queue.depth == 1  # what was there has not become more


def test_shutting_wakes_workers_that_wait() -> None:
    queue: WorkQueue[str] = WorkQueue()
    got: list[str | None] = []
    workers = [threading.Thread(target=lambda: got.append(queue.get()), daemon=True) for _ in range(3)]
    for worker in workers:
        worker.start()
    queue.shut_down()
    for worker in workers:
        worker.join(5)
    assert got == [None] * 3


def test_adding_wakes_a_worker_that_waits() -> None:
    queue: WorkQueue[str] = WorkQueue()
    got: list[str | None] = []
    worker = threading.Thread(target=lambda: got.append(queue.get()), daemon=True)
    worker.start()
    queue.add_after("a", 0.01)
    worker.join(5)
    assert got == ["a"]


def test_draining_waits_for_what_is_worked_on_and_no_longer_than_it_may() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    queue.get()
    queue.shut_down()
    assert not queue.drain(0.01)
    threading.Timer(0.02, queue.done, ("a",)).start()
    assert queue.drain(5)


def test_eight_workers_never_share_a_key_and_miss_none() -> None:
    queue: WorkQueue[int] = WorkQueue()
    hands: Counter[int] = Counter()
    wanted, seen, clashes = dict.fromkeys(range(20), 0), dict.fromkeys(range(20), 0), []
    lock = threading.Lock()

    def work() -> None:
        while (key := queue.get()) is not None:
            with lock:
                hands[key] += 1
                clashes.extend([key] * (hands[key] > 1))
            seen[key] = wanted[key]
            with lock:
                hands[key] -= 1
            queue.done(key)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(8)]
    for worker in workers:
        worker.start()
    for number in range(20_000):
        wanted[number % 20] = number
        queue.add(number % 20)
    while queue.depth or queue.busy:
        pass
    queue.shut_down()
    for worker in workers:
        worker.join(5)
    assert not clashes
    assert seen == wanted  # whoever worked last on a key saw the newest that was said of it


class Promises(RuleBasedStateMachine):
    """Any sequence of calls, against what the queue promises: when each key is wanted, and who has it."""

    keys = st.sampled_from("abcd")

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.queue: WorkQueue[str] = WorkQueue(clock=self.clock, retries=TokenBucket(1000, 1000, self.clock))
        self.wanted: dict[str, float] = {}
        self.busy: set[str] = set()

    def want(self, key: str, at: float) -> None:
        self.wanted[key] = min(at, self.wanted.get(key, at))

    @rule(key=keys)
    def add(self, key: str) -> None:
        self.queue.add(key)
        self.want(key, self.clock.now)

    @rule(key=keys, seconds=st.integers(0, 5))
    def add_after(self, key: str, seconds: int) -> None:
        self.queue.add_after(key, seconds)
        self.want(key, self.clock.now + seconds)

    @rule(key=keys)
    def retry(self, key: str) -> None:
        self.want(key, self.clock.now + self.queue.retry(key))

    @rule(key=keys)
    def forget(self, key: str) -> None:
        self.queue.forget(key)

    @rule(seconds=st.integers(1, 3))
    def time_passes(self, seconds: int) -> None:
        self.clock.pass_(seconds)

    @rule()
    def get(self) -> None:
        due = {key for key, at in self.wanted.items() if at <= self.clock.now and key not in self.busy}
        key = self.queue.get(timeout=0)
        if key is None:
            assert not due
        else:
            assert key in due
            self.busy.add(key)
            del self.wanted[key]

    @rule(key=keys)
    def done(self, key: str) -> None:
        if key in self.busy:
            self.queue.done(key)
            self.busy.remove(key)

    @invariant()
    def whoever_has_a_key_is_counted(self) -> None:
        assert self.queue.busy == len(self.busy)

    def teardown(self) -> None:
        for key in list(self.busy):
            self.done(key)
        self.clock.pass_(10_000)
        assert sorted(ready(self.queue)) == sorted(self.wanted)


TestPromises = Promises.TestCase
TestPromises.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
