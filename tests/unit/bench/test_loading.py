"""The benchmark of loaders: both sides read the same and give the same, and what differs is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from mmaction.registry import TRANSFORMS

from bench import loading
from bench.loading import CASES, OURS, VIDEOS_OF, Case, a_loader, a_run, differing, transforms_of

CLIPS = VIDEOS_OF["XviD, as UCF101's"]
TRAINING = replace(CASES["training, TimeSformer 8x32"], videos=2)
ONE = {name: replace(case, videos=1) for name, case in CASES.items()}


@pytest.mark.parametrize("clips", VIDEOS_OF.values(), ids=VIDEOS_OF)
@pytest.mark.parametrize("case", ONE.values(), ids=ONE)
def test_inputs_are_those_of_mmaction2s_own_loader(case: Case, clips: tuple[str, ...]) -> None:
    with a_run(case, clips, workers=1) as config:
        assert differing(*(a_loader(config, case.stage, side) for side in ("stock", "ours"))) <= 1


def test_the_stock_side_has_none_of_our_transforms_and_ours_has_them_again() -> None:
    with transforms_of("stock"):
        assert not [name for name, own in TRANSFORMS.module_dict.items() if own.__module__.startswith(OURS)]
    assert TRANSFORMS.get("DecordDecode").__module__.startswith(OURS)


class Given:
    """A loader that gives these inputs, a list for each pass; the last one again and again."""

    def __init__(self, *passes: list[int]) -> None:
        self.passes = list(passes)

    def __iter__(self) -> Any:
        values = self.passes.pop(0) if len(self.passes) > 1 else self.passes[0]
        return iter([{"inputs": [torch.tensor(value) for value in values]}])


def test_an_input_that_stock_gives_differently_once_is_counted() -> None:
    assert differing(Given([1, 2]), Given([1, 2])) == 0
    assert differing(Given([1, 9], [1, 2]), Given([1, 2])) == 1


def test_an_input_that_always_differs_ends_the_benchmark() -> None:
    with pytest.raises(AssertionError, match=r"\[1\] are never the same"):
        differing(Given([1, 9]), Given([1, 2]))
    with pytest.raises(AssertionError, match="as many inputs"):
        differing(Given([1]), Given([1, 2]))


def test_a_slower_side_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passes take turns, either one first, and every one of them is in the record."""
    order: list[str] = []
    took = {"stock": iter([1.0, 2.0, 1.0]), "ours": iter([2.0, 2.0, 4.0])}
    monkeypatch.setattr(loading, "a_loader", lambda config, stage, side: side)
    monkeypatch.setattr(loading, "differing", lambda stock, ours: 0)

    def a_pass(side: str, pids: set[int]) -> tuple[float, float]:
        order.append(side)
        return (next(took[side]) if len(order) > 2 else 9.0), 1.0

    monkeypatch.setattr(loading, "a_pass", a_pass)
    found = loading.measure(TRAINING, CLIPS, rounds=3, workers=1)
    assert order[2:] == ["ours", "stock", "stock", "ours", "ours", "stock"]
    assert found["stockVideosPerSecond"] == [2.0, 1.0, 2.0]
    assert found["oursVideosPerSecond"] == [1.0, 1.0, 0.5]
    assert (found["lowest"], found["oursToStock"], found["highest"]) == (0.25, 0.5, 1.0)
