"""The choice of a port, as properties that hold for any range and any leases."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmaction_operator.ports import PortRange, choose, start_of
from mmaction_trainer.contract.errors import PortFailure


@dataclass(frozen=True)
class Situation:
    ports: PortRange
    taken: dict[int, str]
    avoid: frozenset[int]
    start: int

    @property
    def free(self) -> set[int]:
        every = set(range(self.ports.first, self.ports.last + 1))
        return every - self.ports.reserved - set(self.taken) - self.avoid

    def choose(self) -> int:
        return choose(self.ports, self.taken, avoid=self.avoid, start=self.start)


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    first = draw(st.integers(1024, 29000))
    last = first + draw(st.integers(0, 12))
    near = st.integers(first - 2, last + 2)
    reserved = draw(st.frozensets(near, max_size=4)) - {first}
    taken = draw(st.dictionaries(near, st.sampled_from(["team-a/x", "team-b/y"])))
    return Situation(
        PortRange(first, last, reserved), taken, draw(st.frozensets(near, max_size=4)), draw(st.integers(0, 2**64))
    )


@given(situations())
def test_a_port_is_free_or_there_is_none(situation: Situation) -> None:
    if situation.free:
        assert situation.choose() in situation.free
    else:
        with pytest.raises(PortFailure):
            situation.choose()


@given(situations())
def test_the_same_question_has_the_same_answer(situation: Situation) -> None:
    if situation.free:
        assert situation.choose() == situation.choose()


@given(situations())
def test_it_is_the_first_free_port_from_the_start_on_going_round(situation: Situation) -> None:
    if not situation.free:
        return
    ports = situation.ports
    size = ports.last - ports.first + 1
    begin = situation.start % size
    assert (situation.choose() - ports.first - begin) % size == min(
        (port - ports.first - begin) % size for port in situation.free
    )


@given(situations())
def test_taking_what_is_chosen_until_none_is_left_gives_every_free_port_once(situation: Situation) -> None:
    taken, given_out = dict(situation.taken), []
    for _ in situation.free:
        given_out.append(choose(situation.ports, taken, avoid=situation.avoid, start=situation.start))
        taken[given_out[-1]] = "team-c/z"
    assert sorted(given_out) == sorted(situation.free)
    with pytest.raises(PortFailure):
        choose(situation.ports, taken, avoid=situation.avoid, start=situation.start)


def test_a_job_on_other_nodes_may_have_the_port_when_only_these_nodes_count() -> None:
    ports = PortRange(20000, 20001)
    on_node_1, on_node_2 = {20000: "team-a/x"}, {20001: "team-b/y"}
    with pytest.raises(PortFailure):
        choose(ports, on_node_1 | on_node_2)
    assert choose(ports, on_node_1) == 20001


def test_an_exhausted_range_says_who_holds_how_many() -> None:
    ports = PortRange(20000, 20009, reserved=frozenset({20009}))
    taken = dict.fromkeys(range(20000, 20006), "team-a/x") | {20006: "team-b/y", 20007: "team-b/y", 25000: "elsewhere"}
    with pytest.raises(PortFailure) as refusal:
        choose(ports, taken, avoid=frozenset({20008}))
    assert str(refusal.value) == (
        "ports 20000-20009: none of 10 is left: team-a/x holds 6, team-b/y holds 2, 1 avoided, 1 reserved. "
        "Wait for one, or widen the range."
    )


def test_a_crowd_of_holders_is_counted_not_listed() -> None:
    ports = PortRange(20000, 20009)
    with pytest.raises(PortFailure, match="5 others hold 5") as refusal:
        choose(ports, {port: f"team-a/job-{port}" for port in range(20000, 20010)})
    assert str(refusal.value).count("team-a/") == 5


def test_attempts_begin_all_over_the_range() -> None:
    ports = PortRange()
    begins = {choose(ports, {}, start=start_of(f"uid-{attempt}")) for attempt in range(200)}
    assert len(begins) > 180
    assert max(begins) - min(begins) > 0.9 * len(ports)


def test_an_attempt_begins_at_the_same_port_in_every_process() -> None:
    # A stored value: Python's own hash() differs from one process to the next.
    assert choose(PortRange(), {}, start=start_of("3f0c-1")) == 21638
