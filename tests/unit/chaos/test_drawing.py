"""What a seed draws."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from tests.chaos import drawing
from tests.chaos.play import DISTURBANCES


@pytest.mark.parametrize("draw", [drawing.rounds, drawing.jobs], ids=lambda draw: draw.__name__)
def test_a_seed_draws_the_same_again_and_another_one_something_else(draw) -> None:
    assert list(islice(draw(8), 50)) == list(islice(draw(8), 50))
    assert list(islice(draw(8), 50)) != list(islice(draw(9), 50))


def test_every_kind_has_its_share_in_each_twenty_rounds() -> None:
    drawn = [round_.kind for round_ in islice(drawing.rounds(8), 60)]
    for begin in (0, 20, 40):
        assert Counter(drawn[begin : begin + 20]) == drawing.KINDS


def test_every_kind_that_is_drawn_is_one_that_is_known_how_to_do() -> None:
    assert set(DISTURBANCES) == set(drawing.KINDS)


def test_a_round_meets_one_of_those_there_are_however_many() -> None:
    for round_ in islice(drawing.rounds(8), 100):
        assert round_.of(["only"]) == "only"
        assert round_.of(["a", "b", "c"]) in ("a", "b", "c")
