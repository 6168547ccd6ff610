"""The guard of what is on record tells what is slower, and what was left out."""

from __future__ import annotations

import json

import pytest

from bench import check, loading


def test_a_ratio_within_the_tolerance_holds() -> None:
    assert check.fallen({"training": 1.5}, {"training": 1.21}) == []
    assert check.fallen({"training": 1.5}, {"training": 3.0}) == []


def test_a_ratio_below_it_is_told_with_both_figures() -> None:
    (problem,) = check.fallen({"training": 1.5, "test": 3.0}, {"training": 1.19, "test": 3.0})
    assert problem == "training: 1.19, and 1.50 on record: less than 1.20"


def test_what_was_not_measured_is_told() -> None:
    assert check.fallen({"training": 1.5}, {}) == ["training: on record, and not measured"]


def test_every_case_is_on_record() -> None:
    recorded = loading.ratios(json.loads(loading.RESULTS.read_text()))
    assert sorted(recorded) == sorted(f"{name}, {kind}" for name in loading.CASES for kind in loading.VIDEOS_OF)


@pytest.mark.parametrize(("ratio", "code"), [(1.5, 0), (1.0, 1)])
def test_its_exit_code_says_whether_all_hold(monkeypatch: pytest.MonkeyPatch, ratio: float, code: int) -> None:
    kept = json.loads(loading.RESULTS.read_text())
    cases = [found for cases in kept["videos"].values() for found in cases.values()]
    measured = json.loads(json.dumps(kept))
    for cases_of_kind in measured["videos"].values():
        for found in cases_of_kind.values():
            found["oursToStock"] *= ratio / 1.5
    assert cases
    monkeypatch.setattr(loading, "record", lambda rounds, workers: measured)
    monkeypatch.setattr("sys.argv", ["bench.check"])
    assert check.main() == code
