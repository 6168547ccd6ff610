"""What Prometheus is told of jobs: each failure once, by its class, and how long a job took to start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mmaction_operator.api import parse
from mmaction_operator.api.status import TrainJobStatus
from mmaction_operator.controller.decided import Decided
from mmaction_operator.controller.metrics import Metrics, phase_of
from mmaction_operator.plan import Course, Settings
from mmaction_operator.plan.failures import FailureSeen
from mmaction_trainer.contract.errors import ConfigFailure
from tests.trainjob_cases import changed

CREATED = datetime(2026, 1, 2, tzinfo=UTC)
PORT, DATA = FailureSeen("Port", "taken"), FailureSeen("Data", "no such video")


def a_status(attempt: int | None = None, **conditions: str) -> TrainJobStatus:
    said = [
        {"type": kind, "status": status, "reason": "R", "message": "m", "lastTransitionTime": CREATED}
        for kind, status in conditions.items()
    ]
    return TrainJobStatus.model_validate({"attempt": attempt, "conditions": said})


def written(metrics: Metrics, before: TrainJobStatus, status: TrainJobStatus, course: Course, after: float = 0) -> None:
    job = parse(changed({"status": before.model_dump(mode="json", by_alias=True, exclude_none=True)}))
    stored = {"metadata": {"creationTimestamp": CREATED.isoformat()}}
    at = CREATED + timedelta(seconds=after)
    metrics.written(Decided(stored, job, ConfigFailure("unused", "unused"), course, None, status, at))


@pytest.mark.parametrize(
    ("before", "status", "course", "counted"),
    [
        (a_status(1), a_status(2), Course("Attempt", 2, failure=PORT), {"Port": 1.0}),
        (a_status(2), a_status(2, Running="True"), Course("Attempt", 2, failure=PORT), {}),
        (a_status(1), a_status(1, Failed="True"), Course("Failed", 1, failure=DATA), {"Data": 1.0}),
        (a_status(), a_status(Failed="True"), Course("Failed", 0, failure=DATA), {"Data": 1.0}),
        (a_status(1), a_status(1, Complete="True"), Course("Complete", 1), {}),
    ],
    ids=["another attempt", "the same goes on", "the last attempt", "preflight", "success"],
)
def test_a_failure_is_counted_once_by_its_class(
    before: TrainJobStatus, status: TrainJobStatus, course: Course, counted: dict[str, float]
) -> None:
    metrics = Metrics()
    written(metrics, before, status, course)
    assert samples(metrics, "mmaction_operator_failures_total", "failure") == counted


def test_the_start_is_measured_once_from_creation_to_the_first_attempts_pods() -> None:
    metrics = Metrics()
    written(metrics, a_status(1), a_status(1, Running="True"), Course("Attempt", 1), after=42)
    written(metrics, a_status(1, Running="True"), a_status(1, Running="True"), Course("Attempt", 1), after=50)
    written(metrics, a_status(2), a_status(2, Running="True"), Course("Attempt", 2), after=300)
    value = metrics.registry.get_sample_value
    assert value("mmaction_operator_start_seconds_count") == 1
    assert value("mmaction_operator_start_seconds_sum") == 42


def test_jobs_are_counted_by_phase_and_those_of_another_controller_are_not() -> None:
    settings = Settings(trainer_image="trainer:v1")
    assert phase_of(settings, {"spec": {}}) == ["Pending"]
    assert phase_of(settings, {"spec": {"managedBy": settings.name}, "status": {"phase": "Running"}}) == ["Running"]
    assert phase_of(settings, {"spec": {"managedBy": "mmaction.dev/second"}, "status": {"phase": "Running"}}) == []


def samples(metrics: Metrics, name: str, label: str) -> dict[str, Any]:
    """Values of a counter by a label."""
    families = metrics.registry.collect()
    return {s.labels[label]: s.value for family in families for s in family.samples if s.name == name}
