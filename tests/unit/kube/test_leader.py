"""Who leads, on clocks that disagree: never two at once, and never nobody for longer than the lease says."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mmaction_operator.kube import (
    Conflict,
    Elector,
    LeadershipLost,
    LeaseTimes,
)
from tests.unit.kube.clock import FakeClock
from tests.unit.kube.lease import LEASE, Leases


@pytest.fixture
def leases(clock: FakeClock) -> Leases:
    return Leases(clock)


Make = Callable[..., Elector]


@pytest.fixture
def elector(leases: Leases, clock: FakeClock) -> Make:
    """An elector of a machine whose clocks both show something of their own."""

    def make(identity: str, skew: float = 0.0) -> Elector:
        day = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=skew)
        return Elector(leases, LEASE, identity, clock=lambda: clock() + skew, now=lambda: day)

    return make


def test_the_first_to_come_leads_at_once_and_says_so_in_the_lease(elector: Make, leases: Leases) -> None:
    first = elector("first")
    assert not first.leads
    first.step()
    assert first.leads
    assert leases.spec == {
        "holderIdentity": "first",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-03-01T00:00:00.000000Z",
        "renewTime": "2026-03-01T00:00:00.000000Z",
        "leaseTransitions": 1,
    }


def test_times_in_the_lease_are_utc_with_six_digits_whatever_the_zone(leases: Leases, clock: FakeClock) -> None:
    zone = datetime.fromisoformat("2026-03-01T01:30:00.000120+05:30")
    Elector(leases, LEASE, "first", clock=clock, now=lambda: zone).step()
    assert leases.spec["renewTime"] == "2026-02-28T20:00:00.000120Z"


@pytest.mark.parametrize("skew", [0, 86400, -86400])
def test_another_leads_once_it_has_seen_no_renewal_for_the_leases_duration(
    elector: Make, clock: FakeClock, skew: float
) -> None:
    first, second = elector("first"), elector("second", skew)
    for _ in range(30):
        first.step()
        second.step()
        clock.pass_(2)
        assert not second.leads
    first.step()
    second.step()
    clock.pass_(14.9)
    second.step()
    assert not second.leads
    clock.pass_(0.2)
    second.step()
    assert second.leads


def test_who_has_just_come_waits_for_the_whole_duration_however_old_the_lease_looks(
    elector: Make, clock: FakeClock
) -> None:
    elector("first").step()
    clock.pass_(3600)
    second = elector("second", 3600)
    second.step()
    assert not second.leads
    clock.pass_(15.1)
    second.step()
    assert second.leads


def test_a_lease_is_judged_by_the_duration_that_it_says(elector: Make, leases: Leases, clock: FakeClock) -> None:
    elector("first").step()
    leases.edit(leaseDurationSeconds=60)
    second = elector("second")
    second.step()
    clock.pass_(59)
    second.step()
    assert not second.leads
    clock.pass_(2)
    second.step()
    assert second.leads


def test_a_holder_that_cannot_reach_the_server_leads_until_its_deadline(
    elector: Make, leases: Leases, clock: FakeClock
) -> None:
    first = elector("first")
    first.step()
    leases.down = True
    for _ in range(4):
        clock.pass_(2)
        first.step()
        assert first.leads
    clock.pass_(2)
    assert not first.leads  # by the clock alone
    with pytest.raises(LeadershipLost):
        first.step()


def test_a_holder_that_reaches_the_server_again_in_time_leads_on(
    elector: Make, leases: Leases, clock: FakeClock
) -> None:
    first = elector("first")
    first.step()
    leases.down = True
    clock.pass_(8)
    first.step()
    leases.down = False
    clock.pass_(1)
    first.step()
    clock.pass_(9)
    assert first.leads


def test_a_renewal_counts_from_before_it_was_sent(elector: Make, leases: Leases, clock: FakeClock) -> None:
    first = elector("first")
    leases.latency = 1
    begun = clock.now
    first.step()  # reads, writes: four seconds
    clock.now = begun + 9.9
    assert first.leads
    clock.now = begun + 10
    assert not first.leads


def test_a_conflict_is_no_loss_but_another_holder_is(elector: Make, leases: Leases, clock: FakeClock) -> None:
    first = elector("first")
    first.step()
    real = leases.replace
    leases.replace = lambda *_: (_ for _ in ()).throw(Conflict("update", 409, {}))  # type: ignore[method-assign]
    clock.pass_(2)
    first.step()
    assert first.leads
    leases.replace = real  # type: ignore[method-assign]
    leases.edit(holderIdentity="usurper")
    with pytest.raises(LeadershipLost, match="usurper"):
        first.step()
    assert not first.leads


def test_who_lost_the_lead_and_asks_again_waits_like_anyone_else(
    elector: Make, leases: Leases, clock: FakeClock
) -> None:
    first = elector("first")
    first.step()
    leases.edit(holderIdentity="usurper")
    with pytest.raises(LeadershipLost):
        first.step()
    first.step()
    assert not first.leads


def test_renewing_keeps_what_taking_began_and_what_others_wrote(
    elector: Make, leases: Leases, clock: FakeClock
) -> None:
    first = elector("first")
    first.step()
    assert leases.lease
    leases.lease["metadata"]["annotations"] = {"theirs": "yes"}
    leases.edit(strategy="OldestEmulationVersion")
    leases.edit(acquireTime="2020-01-01T00:00:00.000000Z")
    first.step()
    assert leases.lease["metadata"]["annotations"] == {"theirs": "yes"}
    assert leases.spec["strategy"] == "OldestEmulationVersion"
    assert leases.spec["acquireTime"] == "2020-01-01T00:00:00.000000Z"
    assert leases.spec["leaseTransitions"] == 1


def test_taking_over_is_counted_and_dated(elector: Make, leases: Leases, clock: FakeClock) -> None:
    elector("first").step()
    second = elector("second", 60)
    second.step()
    clock.pass_(16)
    second.step()
    assert leases.spec["leaseTransitions"] == 2
    assert leases.spec["acquireTime"] == "2026-03-01T00:01:00.000000Z"


def test_a_lease_that_somebody_deleted_is_made_again_by_its_holder(elector: Make, leases: Leases) -> None:
    first, second = elector("first"), elector("second")
    first.step()
    second.step()
    leases.lease = None
    second.step()
    assert not second.leads
    first.step()
    assert first.leads
    assert leases.spec["holderIdentity"] == "first"


def test_a_lease_that_stays_deleted_is_free_once_its_holders_time_is_over(
    elector: Make, leases: Leases, clock: FakeClock
) -> None:
    first, second = elector("first"), elector("second")
    first.step()
    second.step()
    clock.pass_(8)
    first.step()
    leases.lease = None
    clock.pass_(8)  # since second saw it last, 16 s; since it was renewed, 8 s
    second.step()
    assert not second.leads
    clock.pass_(15.1)
    second.step()
    assert second.leads
    assert not first.leads


def test_a_lease_without_a_word_in_it_is_free(elector: Make, leases: Leases) -> None:
    leases.store({"metadata": {"name": "controller"}, "spec": {}})
    first = elector("first")
    first.step()
    assert first.leads


@pytest.mark.parametrize(("duration", "deadline", "retry"), [(10, 10, 2), (15, 10, 10), (15, 10, 0)])
def test_times_that_let_two_lead_are_refused(duration: int, deadline: float, retry: float) -> None:
    with pytest.raises(ValueError, match="duration > deadline > retry > 0"):
        LeaseTimes(duration, deadline, retry)


def run_in_thread(elector: Elector) -> tuple[threading.Thread, list[BaseException]]:
    ended: list[BaseException] = []

    def run() -> None:
        try:
            elector.run()
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, ended


@pytest.mark.parametrize("release", [True, False])
def test_who_ends_in_order_lets_the_next_lead_at_once(
    leases: Leases, clock: FakeClock, eventually: Callable[[Callable[[], object]], None], release: bool
) -> None:
    first = Elector(leases, LEASE, "first", clock=clock)
    thread, ended = run_in_thread(first)
    eventually(lambda: first.leads)
    first.stop(release=release)
    thread.join(5)
    assert not ended
    second = Elector(leases, LEASE, "second", clock=clock)
    second.step()
    clock.pass_(1)
    second.step()
    assert second.leads is release
    if release:
        assert not first.leads


def test_who_no_longer_leads_releases_nothing(
    leases: Leases, clock: FakeClock, eventually: Callable[[Callable[[], object]], None]
) -> None:
    first = Elector(leases, LEASE, "first", clock=clock)
    thread, _ = run_in_thread(first)
    eventually(lambda: first.leads)
    clock.pass_(11)
    leases.edit(holderIdentity="second")
    first.stop(release=True)
    thread.join(5)
    assert leases.spec["holderIdentity"] == "second"


def test_a_release_that_fails_harms_nobody(
    leases: Leases,
    clock: FakeClock,
    eventually: Callable[[Callable[[], object]], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = Elector(leases, LEASE, "first", clock=clock)
    thread, ended = run_in_thread(first)
    eventually(lambda: first.leads)
    leases.down = True
    first.stop(release=True)
    thread.join(5)
    assert not ended
    assert re.search("not released, and runs out", caplog.text)


def test_running_ends_with_the_loss(leases: Leases, clock: FakeClock) -> None:
    first = Elector(leases, LEASE, "first", clock=clock, times=LeaseTimes(15, 10, 0.01))
    first.step()
    leases.down = True
    clock.pass_(10)
    thread, ended = run_in_thread(first)
    thread.join(5)
    assert isinstance(ended[0], LeadershipLost)


def test_who_waits_for_two_leases_has_both_once_they_have_run_out_together(clock: FakeClock) -> None:
    first, second = Leases(clock), Leases(clock)
    for lease in (first, second):
        Elector(lease, LEASE, "holder", clock=clock).step()
    one = Elector(first, LEASE, "waits", clock=clock)
    other = Elector(second, LEASE, "waits", after=one, clock=clock)
    for elector in (one, other):
        elector.step()
    clock.pass_(14.9)
    for elector in (one, other):
        elector.step()
    assert not one.leads
    clock.pass_(0.2)
    for elector in (one, other):
        elector.step()
    assert one.leads
    assert other.leads


def test_a_lease_that_is_free_is_left_alone_until_the_one_before_it_is_held(clock: FakeClock) -> None:
    first, second = Leases(clock), Leases(clock)
    one = Elector(first, LEASE, "this", clock=clock)
    other = Elector(second, LEASE, "this", after=one, clock=clock)
    other.step()
    assert not other.leads
    assert second.lease is None
    one.step()
    other.step()
    assert other.leads


class Election(RuleBasedStateMachine):
    """Three processes whose clocks differ, in hours and in speed, and a server that is slow, away, or half away."""

    numbers = st.integers(0, 2)

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.leases = Leases(self.clock)
        self.electors = [self.make(number) for number in range(3)]
        self.born = 3

    def make(self, number: int) -> Elector:
        offset, speed = (0.0, 50_000.0, -700.0)[number % 3], (1.0, 1.1, 0.9)[number % 3]
        day = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=number * 7)
        return Elector(
            self.leases, LEASE, f"process-{number}", clock=lambda: self.clock() * speed + offset, now=lambda: day
        )

    @rule(number=numbers)
    def step(self, number: int) -> None:
        try:
            self.electors[number].step()
        except LeadershipLost:
            self.electors[number] = self.reborn(number)

    @rule(number=numbers)
    def crash(self, number: int) -> None:
        self.electors[number] = self.reborn(number)

    def reborn(self, number: int) -> Elector:
        self.born += 3
        return self.make(self.born + number)

    @rule(seconds=st.floats(0.1, 8))
    def time_passes(self, seconds: float) -> None:
        self.clock.pass_(seconds)

    @rule(latency=st.sampled_from([0.0, 0.0, 0.5, 3.0]), down=st.booleans(), lost=st.booleans())
    def the_server_is(self, latency: float, down: bool, lost: bool) -> None:
        self.leases.latency, self.leases.down, self.leases.answers_are_lost = latency, down, lost

    @rule()
    def the_server_is_well(self) -> None:
        self.the_server_is(0, False, False)

    @rule()
    def all_go_on_for_a_while(self) -> None:
        self.the_server_is_well()
        for _ in range(12):
            self.time_passes(2)
            for number in range(3):
                self.step(number)
                self.one_leads_at_most()
        assert any(elector.leads for elector in self.electors)

    @invariant()
    def one_leads_at_most(self) -> None:
        assert sum(elector.leads for elector in self.electors) <= 1


TestElection = Election.TestCase
TestElection.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
