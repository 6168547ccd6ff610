"""What a job waits for, in the words of its status."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mmaction_operator.api.status import TrainJobStatus
from mmaction_operator.cli.summary import line, rows, waits_for

BEGUN = datetime(2026, 1, 2, tzinfo=UTC)


def a_status(*conditions: tuple[str, str, str], phase: str = "Running") -> TrainJobStatus:
    """A status whose conditions (type, status, reason) changed one after the other."""
    said = [
        {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": "why",
            "lastTransitionTime": BEGUN + timedelta(seconds=number),
        }
        for number, (kind, status, reason) in enumerate(conditions)
    ]
    return TrainJobStatus.model_validate({"phase": phase, "conditions": said})


def test_it_is_the_newest_condition_that_does_not_hold() -> None:
    status = a_status(("Preflighted", "False", "Checking"), ("Running", "False", "Unschedulable"), phase="Pending")
    waiting = waits_for(status)
    assert waiting
    assert waiting.reason == "Unschedulable"
    assert line(status) == "Pending  (Unschedulable: why)"


def test_a_job_that_was_resumed_and_runs_waits_for_nothing() -> None:
    status = a_status(("Running", "True", "Training"), ("Suspended", "False", "Resumed"))
    assert waits_for(status) is None
    assert line(status) == "Running"


def test_a_job_that_nobody_has_looked_at_tells_whose_it_would_be() -> None:
    metadata = {"name": "a", "namespace": "team-a", "uid": "u"}
    told = dict(rows({"metadata": metadata, "spec": {}}, [], "", BEGUN))
    assert "spec.managedBy" in told["waits for"]


def test_an_attempt_that_went_on_tells_from_where() -> None:
    metadata = {"name": "a", "namespace": "team-a", "uid": "u"}
    status = {"phase": "Running", "attempt": 2, "resumedFrom": {"attempt": 1, "epoch": 3, "iteration": 370}}
    told = dict(rows({"metadata": metadata, "spec": {}, "status": status}, [], "", BEGUN))
    assert told["went on from"] == "attempt 1, after 370 iterations"


def test_a_job_that_only_tests_tells_how_much_of_it_is_done_and_then_by_which_views() -> None:
    metadata = {"name": "a", "namespace": "team-a", "uid": "u"}
    progress = {"iteration": 12, "iterations": 378, "observedAt": "2026-01-02T00:00:00Z"}
    testing = {"phase": "Testing", "progress": progress}
    told = dict(rows({"metadata": metadata, "spec": {}, "status": testing}, [], "10x3", BEGUN + timedelta(seconds=3)))
    assert told["done"] == "12/378, 3s ago"
    assert "epoch" not in told
    assert "learning rate" not in told
    over = {"phase": "Succeeded", "progress": progress | {"top1": 0.9609}}
    told = dict(rows({"metadata": metadata, "spec": {}, "status": over}, [], "10x3", BEGUN))
    assert told["top-1"] == "0.9609 (10x3 views)"


def test_an_attempt_that_failed_tells_which_rank_did_first_and_what_it_printed_last() -> None:
    metadata = {"name": "a", "namespace": "team-a", "uid": "u"}
    older = {"attempt": 1, "reason": "Port"}
    newest = {
        "attempt": 2,
        "reason": "Unknown",
        "message": "KeyError: nonsense",
        "rank": 3,
        "node": "gpu-7",
        "lastLines": ["Traceback (most recent call last):", "KeyError: 'nonsense'"],
    }
    status = {"phase": "Running", "attempt": 3, "failures": [older, newest]}
    told = rows({"metadata": metadata, "spec": {}, "status": status}, [], "", BEGUN)
    begin = told.index(("attempt 2 failed", "Unknown: KeyError: nonsense"))
    assert told[begin + 1 : begin + 4] == [
        ("failed first", "rank 3 on gpu-7"),
        ("last lines", "Traceback (most recent call last):"),
        ("", "KeyError: 'nonsense'"),
    ]
    assert "attempt 1 failed" not in dict(told)
