"""When ranks are said to hang, and which of them is: a table of what they said, and for how long."""

from __future__ import annotations

import pytest

from mmaction_operator.render.runtime_settings import COLLECTIVE_TIMEOUT
from mmaction_trainer.contract.errors import CollectiveFailure
from mmaction_trainer.contract.heartbeat import OVER, Beat
from mmaction_trainer.launch.hanging import (
    CEILING,
    FLOOR,
    FOR_OTHER_NODES,
    LONGEST_LOOK,
    STARTING,
    Quiet,
    blamed,
    explained,
    hang_of,
    limit,
)


def quiet(seconds: float, place: int = 7, slowest: float | None = 0.2, doing: str = "computing iteration 3") -> Quiet:
    return Quiet(Beat(pid=1, place=place, doing=doing, slowest=slowest), seconds)


@pytest.mark.parametrize(
    ("slowest", "seconds"),
    [
        pytest.param(0.2, FLOOR, id="steps of a fifth of a second: two minutes"),
        pytest.param(FLOOR / 10, FLOOR, id="a tenth of the floor"),
        pytest.param(60.0, 600.0, id="steps of a minute: ten times as long"),
        pytest.param(1000.0, CEILING, id="never more than the ceiling"),
        pytest.param(None, CEILING, id="nothing is known of how long it takes"),
    ],
)
def test_a_step_may_take_ten_times_the_slowest_between_a_floor_and_a_ceiling(
    slowest: float | None, seconds: float
) -> None:
    assert limit(quiet(0, slowest=slowest).beat) == seconds


def test_a_hang_is_told_before_the_collectives_time_out() -> None:
    assert CEILING + FOR_OTHER_NODES + LONGEST_LOOK < COLLECTIVE_TIMEOUT


def test_whoever_wants_more_patience_has_it_for_every_step() -> None:
    assert limit(quiet(0).beat, 3000) == limit(quiet(0, slowest=None).beat, 3000) == 3000
    assert hang_of({0: quiet(1e9)}, floor=float("inf")) is None


LONG, SHORT = FLOOR + 1, FLOOR - 1

HANGS = {
    "all wait for the one that is behind": ([(LONG, 8), (LONG, 7), (LONG, 8)], (1,)),
    "those that wait have not done so for long": ([(SHORT, 8), (LONG, 7), (SHORT, 8)], (1,)),
    "one alone": ([(LONG, 7)], ()),
    "all are equally far": ([(LONG, 7), (LONG, 7)], ()),
    "two are behind": ([(LONG, 7), (LONG, 7), (LONG, 9)], (0, 1)),
}


@pytest.mark.parametrize(("said", "behind"), HANGS.values(), ids=HANGS)
def test_ranks_hang(said: list[tuple[float, int]], behind: tuple[int, ...]) -> None:
    hang = hang_of({rank: quiet(seconds, place) for rank, (seconds, place) in enumerate(said)})
    assert hang
    assert hang.behind == behind


ALIVE = {
    "a step that is slow": {0: quiet(SHORT), 1: quiet(SHORT)},
    "one of those that are equally far goes on": {0: quiet(LONG), 1: quiet(SHORT)},
    "the one behind goes on, and others have waited for long": {0: quiet(LONG, 8), 1: quiet(SHORT, 7)},
    "one saves, for which nothing is known, and others wait": {0: quiet(LONG, 7, None), 1: quiet(LONG, 9)},
    "a start that takes long": {0: STARTING.next(None, 1), 1: quiet(LONG, 1, None)},
    "steps of a minute": {0: quiet(300, slowest=60.0), 1: quiet(300, slowest=60.0)},
    "all have done what they had to": {0: quiet(LONG, doing=OVER)},
    "the others have done all, and one measures": {0: quiet(LONG, 90, None), 1: quiet(LONG, 90, doing=OVER)},
}


@pytest.mark.parametrize("ranks", ALIVE.values(), ids=ALIVE)
def test_ranks_are_left_alone(ranks: dict[int, Quiet]) -> None:
    assert hang_of(ranks) is None


def test_a_node_on_which_nobody_is_behind_lets_the_other_nodes_speak_first() -> None:
    together = {0: quiet(LONG), 1: quiet(LONG)}
    assert hang_of(together, alone=False) is None
    assert hang_of({rank: quiet(LONG + FOR_OTHER_NODES) for rank in together}, alone=False)
    assert hang_of({0: quiet(LONG, 8), 1: quiet(LONG, 7)}, alone=False), "here somebody is"


def test_a_rank_that_says_something_new_is_quiet_no_longer() -> None:
    before = quiet(100)
    assert before.next(before.beat, 1).seconds == 101
    assert before.next(None, 1).seconds == 101, "what cannot be read is nothing new"
    assert before.next(quiet(0, 8).beat, 1).seconds == 0


def test_a_machine_that_was_suspended_for_hours_counts_a_look_as_seconds() -> None:
    assert quiet(10).next(quiet(0).beat, 8 * 3600).seconds == 10 + LONGEST_LOOK


@pytest.mark.parametrize(
    ("places", "states", "rank"),
    [
        pytest.param([8, 7, 8], "SSS", 1, id="behind"),
        pytest.param([7, 7], "ST", 1, id="equally far, and one is stopped"),
        pytest.param([7, 7], "DS", 0, id="equally far, and one waits for a disk"),
        pytest.param([7, 7], "SS", None, id="equally far"),
        pytest.param([7, 7, 8], "STS", 1, id="two behind, and one of them is stopped"),
        pytest.param([7], "S", 0, id="there is no other"),
    ],
)
def test_the_rank_to_blame_is_behind_or_held(places: list[int], states: str, rank: int | None) -> None:
    hang = hang_of({number: quiet(LONG, place) for number, place in enumerate(places)})
    assert hang
    assert blamed(hang, dict(enumerate(states))) == rank


def test_a_hang_is_told_by_its_rank_by_what_it_did_and_by_who_waits_for_it() -> None:
    hang = hang_of(
        {0: quiet(LONG, 8), 1: quiet(LONG, 7, doing="computing iteration 132 of epoch 3"), 2: quiet(LONG, 8)}
    )
    assert hang
    failure = explained(hang, {0: "S", 1: "T", 2: "S"}, {1: ('File "x.py", line 3 in f',)})
    assert isinstance(failure, CollectiveFailure)
    assert (failure.rank, failure.last_lines) == (1, ('File "x.py", line 3 in f',))
    assert str(failure).startswith(
        "rank 1: no progress for 121 s while computing iteration 132 of epoch 3: it is stopped, as SIGSTOP does; "
        "ranks 0 and 2 wait for it. "
    )
    assert "logs/stacks-attempt-N-rank-N.log" in str(failure)


def test_ranks_that_are_equally_far_are_all_named_and_none_is_blamed() -> None:
    hang = hang_of({0: quiet(LONG), 1: quiet(LONG), 2: quiet(LONG)})
    assert hang
    failure = explained(hang, dict.fromkeys(range(3), "S"), {})
    assert failure.rank is None
    assert str(failure).startswith("ranks 0, 1 and 2: no progress for 121 s while computing iteration 3. ")
