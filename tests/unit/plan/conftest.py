"""Jobs as an API server has them, and attempts as they are seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mmaction_operator.api import TrainJob, parse
from mmaction_operator.plan import AttemptSeen, PodSeen, Settings
from mmaction_operator.render import Rendered, render
from mmaction_trainer.contract.errors import Failure
from mmaction_trainer.contract.result import FailureReport, Result
from tests.trainjob_cases import changed

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def a_job(status: dict[str, Any] | None = None, **changes: Any) -> TrainJob:
    """A job with an identity; ``changes`` are of its spec."""
    manifest = changed({f"spec.{name}": value for name, value in changes.items()})
    manifest["metadata"] |= {"namespace": "team-a", "uid": "0a1b-2c3d", "generation": 1}
    return parse(manifest | ({"status": status} if status else {}))


def a_pod(index: int = 0, **seen: Any) -> PodSeen:
    """A pod that runs."""
    known: dict[str, Any] = {"uid": f"pod-{index}", "name": f"job-1-{index}", "index": index}
    return PodSeen(**known | {"phase": "Running", "node": "node-1"} | seen)


def ended(code: int, **seen: Any) -> PodSeen:
    """A pod whose container ended."""
    return a_pod(**{"phase": "Failed" if code else "Succeeded", "exit_code": code} | seen)


def failed_as(kind: type[Failure], index: int = 0, message: str = "why") -> PodSeen:
    """A pod whose launcher said why it failed."""
    report = FailureReport(failure=kind.name, exit_code=kind.exit_code, where="somewhere", message=message)
    return ended(kind.exit_code, index=index, result=a_result("Failed", error=report))


def a_result(outcome: Any = "Succeeded", **rest: Any) -> Result:
    """What a launcher leaves."""
    return Result(outcome=outcome, results_uri="s3://results/x", port=20001, world_size=2, **rest)


def an_attempt(number: int, *pods: PodSeen, state: Any = "Active", port: int = 20001, ago: float = 0) -> AttemptSeen:
    """An attempt as it is seen; one that ended did so ``ago`` seconds before NOW."""
    over = None if state == "Active" else NOW - timedelta(seconds=ago)
    return AttemptSeen(f"job-{number}", number, port if number else 0, state, over, pods)


CHECKED = an_attempt(0, ended(0), state="Complete")


@pytest.fixture(scope="session")
def rendered() -> Rendered:
    return render(a_job())


@pytest.fixture
def settings() -> Settings:
    return Settings(trainer_image="trainer:v1", progress_url="http://operator/v1/progress")
