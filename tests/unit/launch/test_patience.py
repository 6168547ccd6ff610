"""Trying again where storage fails."""

from __future__ import annotations

import time

import pytest

from mmaction_trainer.contract.errors import ConfigFailure, Failure, StorageFailure
from mmaction_trainer.launch import patience
from mmaction_trainer.launch.patience import patiently


class Storm:
    """Fails so often, then returns."""

    def __init__(self, failures: int, failure: Failure | None = None) -> None:
        self.left, self.failure = failures, failure or StorageFailure("s3://results/team", "503 Slow Down")
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        if self.left:
            self.left -= 1
            raise self.failure
        return "digest"


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(patience, "LONGEST_PAUSE", 0.04)


def test_storage_that_comes_back_gets_what_it_refused() -> None:
    told: list[str] = []
    storm = Storm(5)
    assert patiently(storm, within=20, tell=told.append) == "digest"
    assert storm.asked == 6
    assert len(told) == 5
    assert told[0].startswith("storage fails, and is tried again for 20 s: s3://results/team: 503 Slow Down")


def test_storage_that_stays_away_is_given_up_in_time() -> None:
    began, told = time.monotonic(), []
    with pytest.raises(StorageFailure, match="s3://results/team"):
        patiently(Storm(10**9), within=0.3, tell=told.append)
    assert 0.1 < time.monotonic() - began < 3
    assert told


def test_without_patience_it_is_asked_once() -> None:
    storm = Storm(1)
    with pytest.raises(StorageFailure):
        patiently(storm, within=0, tell=print)
    assert storm.asked == 1


def test_what_no_waiting_mends_is_raised_at_once() -> None:
    storm = Storm(1, ConfigFailure("spec.storage.uri", "names no storage"))
    with pytest.raises(ConfigFailure):
        patiently(storm, within=20, tell=print)
    assert storm.asked == 1
