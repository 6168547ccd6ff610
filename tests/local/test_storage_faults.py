"""Trainings whose storage fails on the way: whole results, or none that look whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mmaction_trainer.contract.errors import StorageFailure
from mmaction_trainer.contract.run import METRICS
from mmaction_trainer.storage.manifest import MANIFEST
from tests.cluster.fault_proxy import FaultProxy
from tests.cluster.s3 import S3Server, client

from .conftest import Machine
from .trainings import check_same, left_alone, training
from .weather import KINDS, Weather, under_weather

SEED, STORMS = int(os.environ.get("SEED", "8")), int(os.environ.get("STORMS", "20"))
EPOCHS = 4
BUCKET = "weather"


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, dataset: Path) -> Path:
    """The results of a training that nothing disturbed."""
    return left_alone(tmp_path_factory.mktemp("alone"), dataset, EPOCHS)


@pytest.fixture
def weather(machine: Machine, s3: S3Server, fault_proxy: FaultProxy) -> Iterator[Weather]:
    """What is between the machine and its storage."""
    s3.bucket(BUCKET)
    with under_weather(s3, fault_proxy) as (server, weather):
        machine.environment |= server.environment() | {"AWS_MAX_ATTEMPTS": "2"}
        yield weather
    storage = client(s3)
    for stored in storage.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        storage.delete_object(Bucket=BUCKET, Key=stored["Key"])
    storage.delete_bucket(Bucket=BUCKET)


def test_results_are_whole_or_none_whatever_storage_does(
    machine: Machine, s3: S3Server, weather: Weather, alone: Path
) -> None:
    job = machine.job(training=training(EPOCHS), storage={"uri": f"s3://{BUCKET}/team"})
    bucket = s3.folder / BUCKET
    with weather.storms(SEED, STORMS):
        for words in tries(bucket):
            code, output = machine.run("run", job, *words, timeout=600)
            print(f"{' '.join(words)}: {code}, after {len(weather.log)} turns")
            if code == 0:
                break
            assert code == StorageFailure.exit_code, output
            assert not list(bucket.rglob(MANIFEST)), "no manifest stands over results that are not whole"
    assert set(KINDS) & set(weather.log), "there was weather"
    (manifest,) = bucket.rglob(MANIFEST)
    check_same(manifest.parent, alone)
    assert "Uploads" not in client(s3).list_multipart_uploads(Bucket=BUCKET)


def tries(bucket: Path) -> Iterator[tuple[str, ...]]:
    """How a user runs a job that storage fails: again, and from where it was if it left a checkpoint."""
    for _ in range(20):
        yield ("--resume",) if list(bucket.glob("team/default/small/*/resume/*/*.json")) else ()
    pytest.fail("it never succeeded")


def test_storage_that_is_away_as_an_attempt_begins_is_waited_for(
    machine: Machine, s3: S3Server, weather: Weather, wait_until: Callable[[Callable[[], bool]], None]
) -> None:
    weather.turn("cut")
    process = machine.start("run", machine.job(storage={"uri": f"s3://{BUCKET}/team"}, preflight=False))

    def waits() -> bool:
        return any("is tried again" in path.read_text() for path in machine.state.rglob("launcher.log"))

    wait_until(waits)
    weather.turn("busy")
    time.sleep(2)
    weather.turn()
    output = process.communicate(timeout=240)[0]
    assert process.returncode == 0, output
    assert "attempt 1" in output
    assert list((s3.folder / BUCKET).rglob(MANIFEST))


def test_storage_that_stays_away_is_given_up_with_its_reason_and_no_manifest(
    machine: Machine, s3: S3Server, weather: Weather, wait_until: Callable[[Callable[[], bool]], None]
) -> None:
    process = machine.start("run", machine.job(storage={"uri": f"s3://{BUCKET}/team"}))
    wait_until(lambda: bool(list(machine.state.rglob("attempt-1/progress.json"))))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    (run_dir,) = (path.parent for path in machine.state.rglob("attempt-1/run.json"))
    launcher = subprocess.Popen(
        [sys.executable, "-m", "mmaction_trainer.launch", str(run_dir), "--patience", "3", "--grace", "1"],
        env={**os.environ, **machine.environment},
        cwd=machine.root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: (run_dir / METRICS).exists())
    weather.turn("denied")
    said = launcher.communicate(timeout=240)[1]
    assert launcher.returncode == StorageFailure.exit_code
    assert "denied. Let these credentials list, read, write and delete objects" in said
    assert '"test"' in (run_dir / METRICS).read_text(), "the training was not lost for it"
    assert not list((s3.folder / BUCKET).rglob(MANIFEST))
