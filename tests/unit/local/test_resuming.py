"""Which run of a job ``trainjob run --resume`` goes on with, and what it says where there is none."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mmaction_operator.api import TrainJob, parse
from mmaction_operator.local.resuming import unfinished
from mmaction_operator.ports import Holder, LeaseFolder, PortRange, lease_port
from mmaction_trainer.contract.checkpoints import INDEX, PREFIX, StoredCheckpoints
from mmaction_trainer.contract.errors import ConfigFailure
from mmaction_trainer.storage import MANIFEST

HOUR = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def leases(tmp_path: Path) -> LeaseFolder:
    return LeaseFolder(tmp_path / "leases")


def a_job(results: Path, **spec: Any) -> TrainJob:
    return parse(
        {
            "apiVersion": "mmaction.dev/v1alpha1",
            "kind": "TrainJob",
            "metadata": {"name": "small"},
            "spec": {
                "model": {"config": "tsm_imagenet-pretrained-mobilenetv2_8xb16-1x1x8-100e_kinetics400-rgb"},
                "dataset": {"uri": "data", "format": "list", "numClasses": 2},
                "training": {"epochs": 2, "batchSizePerGPU": 2, "lr": 0.001},
                "storage": {"uri": str(results)},
                **spec,
            },
        }
    )


def left(results: Path, uid: str, *, attempt: int = 1, at: datetime = HOUR) -> Path:
    """What a run leaves that was stopped: a list of checkpoints."""
    place = results / "default" / "small" / uid
    index = StoredCheckpoints(attempt=attempt, saved_at=at, data_sha256="0" * 64, checkpoints=())
    (place / PREFIX / str(attempt)).mkdir(parents=True)
    index.write(place / PREFIX / str(attempt) / INDEX)
    return place


def test_the_newest_run_that_has_no_results_goes_on_in_its_next_attempt(tmp_path: Path, leases: LeaseFolder) -> None:
    results, state = tmp_path / "results", tmp_path / "state"
    left(results, "older")
    left(results, "newer", attempt=2, at=HOUR.replace(hour=13))
    (left(results, "done", at=HOUR.replace(hour=14)) / MANIFEST).write_text("{}")
    (state / "default" / "small" / "newer" / "attempt-4").mkdir(parents=True)
    found = unfinished(a_job(results), state, leases)
    assert (found.uid, found.attempt) == ("newer", 5)


def refused(job: TrainJob, state: Path, leases: LeaseFolder) -> str:
    with pytest.raises(ConfigFailure) as caught:
        unfinished(job, state, leases)
    return str(caught.value)


def test_where_there_is_nothing_to_go_on_with_it_says_why(tmp_path: Path, leases: LeaseFolder) -> None:
    results, state = tmp_path / "results", tmp_path / "state"
    results.mkdir()
    assert "no run of default/small" in refused(a_job(results), state, leases)
    place = left(results, "done")
    (place / MANIFEST).write_text("{}")
    assert f"default/small is done: {place} has its results" in refused(a_job(results), state, leases)
    left(results, "stopped")
    assert "spec.resume is Never" in refused(a_job(results, resume="Never"), state, leases)


def test_a_run_that_still_trains_is_named_with_the_way_to_stop_it(tmp_path: Path, leases: LeaseFolder) -> None:
    """What holds its lease may be the launcher alone: whoever started it can be gone."""
    results, state = tmp_path / "results", tmp_path / "state"
    left(results, "running")
    job = unfinished(a_job(results), state, leases)
    with lease_port(leases, PortRange.parse("20000-29399"), Holder.of(job, datetime.now(UTC))):
        said = refused(a_job(results), state, leases)
    assert "still trains" in said
    assert f"pkill -f 'mmaction_trainer.launch {state}/default/small/running/'" in said
