"""What has to hold, and that it is noticed where it does not: a check that never finds anything proves nothing."""

from __future__ import annotations

from typing import Any

import pytest

from mmaction_operator.plan import names
from tests.chaos import invariants


def a_job(name: str, owner: str, port: int, ended: str = "") -> dict[str, Any]:
    """A Job of Kubernetes."""
    status = {"conditions": [{"type": ended, "status": "True"}]} if ended else {}
    metadata = {"name": name, "labels": {names.UID: owner}, "annotations": {names.PORT: str(port)}}
    return {"metadata": metadata, "status": status}


@pytest.mark.parametrize(
    ("jobs", "says"),
    [
        ([a_job("a-1", "a", 1), a_job("b-1", "b", 2)], None),
        ([a_job("a-1", "a", 1, "Failed"), a_job("a-2", "a", 2), a_job("b-1", "b", 1)], None),
        ([a_job("a-1", "a", 1), a_job("a-2", "a", 2)], "several live Jobs: a-1, a-2"),
        ([a_job("a-1", "a", 1), a_job("b-1", "b", 1)], "port 1 is that of several live Jobs"),
    ],
)
def test_a_job_lives_once_and_has_a_port_of_its_own(jobs: list[dict[str, Any]], says: str | None) -> None:
    check(invariants.of_jobs(jobs), says)


@pytest.mark.parametrize(
    ("running", "says"),
    [
        ([("a", 1, "a-1-0.a.chaos.svc:1"), ("a", 1, "a-1-0.a.chaos.svc:1"), ("b", 1, "127.0.0.1:2")], None),
        ([("a", 1, "127.0.0.1:1"), ("a", 2, "127.0.0.1:2")], "a runs in several attempts at once: 1, 2"),
        ([("a", 1, "127.0.0.1:1"), ("b", 3, "127.0.0.1:1")], "port 1 is used by attempt 1 of a, attempt 3 of b"),
    ],
)
def test_a_job_runs_in_one_attempt_at_a_port_that_no_other_uses(
    running: list[tuple[str, int, str]], says: str | None
) -> None:
    check(invariants.of_processes(running), says)


@pytest.mark.parametrize(
    ("before", "now", "says"),
    [
        ({}, {"phase": "Running", "attempt": 1}, None),
        ({"attempt": 1, "failures": []}, {"attempt": 2, "failures": [{"attempt": 1}]}, None),
        (
            {"failures": [{"attempt": 1, "lastLines": ["said"]}]},
            {"failures": [{"attempt": 1, "lastLines": []}, {"attempt": 2, "lastLines": ["said"]}]},
            None,
        ),
        ({"attempt": 2}, {"attempt": 1}, "attempt 1 after 2"),
        ({"failures": [{"reason": "Port"}]}, {"failures": [{"reason": "Unknown"}]}, "other failures on record before"),
        ({"phase": "Succeeded"}, {"phase": "Running"}, "Running after it was Succeeded"),
    ],
)
def test_a_status_goes_on(before: dict[str, Any], now: dict[str, Any], says: str | None) -> None:
    check(invariants.of_course("job", before, now), says)


def ended(phase: str, reason: str, *failures: str) -> dict[str, Any]:
    """A status of a job that is over."""
    past = [{"attempt": number, "reason": name} for number, name in enumerate(failures, 1)]
    return {"phase": phase, "conditions": [{"type": "Failed", "reason": reason}] if reason else [], "failures": past}


@pytest.mark.parametrize(
    ("status", "met", "says"),
    [
        (ended("Succeeded", "", "Preempted", "Storage"), False, None),
        (ended("Failed", "OutOfMemory", "OutOfMemory"), True, None),
        (ended("Failed", "OutOfMemory", "OutOfMemory"), False, "job is Failed: OutOfMemory"),
        (ended("Failed", "Storage", "Storage"), True, "job is Failed: Storage"),
        (ended("Succeeded", "", "Data"), False, "attempt 1 of job failed as Data"),
    ],
)
def test_a_job_ends_well_or_of_what_it_met(status: dict[str, Any], met: bool, says: str | None) -> None:
    found = list(invariants.of_end("job", status, may_run_out_of_memory=met))
    assert (says in found[0]) if says else (found == [])


def lines(epochs: list[int], steps: list[int], tests: int = 1) -> list[dict[str, Any]]:
    """A record."""
    return [
        *({"stage": "train", "step": step} for step in steps),
        *({"stage": "val", "epoch": epoch, "top1": epoch / 10, "top5": 1.0} for epoch in epochs),
        *[{"stage": "test", "top1": 0.5, "top5": 1.0}] * tests,
    ]


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (lines([1, 2], [4, 8]), None),
        (lines([1, 1, 2], [4, 8]), "validations of epochs [1, 1, 2]"),
        (lines([2, 1], [4, 8]), "validations of epochs [2, 1]"),
        (lines([1], [4, 8]), "validations of epochs [1]"),
        (lines([1, 2], [4, 4]), "steps on record that go back"),
        (lines([1, 2], [4, 8], tests=2), "2 tests on record"),
    ],
)
def test_a_record_has_everything_once_and_in_its_order(record: list[dict[str, Any]], says: str | None) -> None:
    check(invariants.of_record("job", record, 2), says)


def test_a_status_says_what_is_on_record() -> None:
    recorded = lines([1, 2], [4, 8])
    told = {"val": {"top1": 0.2, "top5": 1.0}, "test": {"top1": 0.5, "top5": 1.0}}
    check(invariants.of_status("job", {"results": told}, recorded), None)
    told["val"]["top1"] = 0.1
    check(invariants.of_status("job", {"results": told}, recorded), "other scores in its status than on record, of val")


@pytest.mark.parametrize(
    ("held", "says"),
    [
        ({"manifest.json", "run.json"}, None),
        ({"manifest.json", "run.json", "resume/1/checkpoints.json"}, "does not list: resume/1/checkpoints.json"),
        ({"manifest.json"}, "lacks what its manifest lists: run.json"),
    ],
)
def test_storage_holds_what_the_manifest_lists(held: set[str], says: str | None) -> None:
    check(invariants.of_storage("job", held, {"run.json"}), says)


def check(found: Any, says: str | None) -> None:
    """One problem that says so, or none."""
    problems = list(found)
    assert len(problems) == (says is not None), problems
    assert says is None or says in problems[0]
