"""``trainjob run`` from a job file to verified results."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from mmaction_operator.ports import Holder, LeaseFolder, lease_gpus
from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.errors import DataFailure, DeviceFailure, Failure, Interrupted
from mmaction_trainer.contract.progress import Progress
from mmaction_trainer.contract.result import Result
from mmaction_trainer.contract.run import JobIdentity, Run
from mmaction_trainer.report import Facts
from mmaction_trainer.storage import Manifest, open_storage, read_manifest, verify

from .conftest import JOB, Machine, processes_in, working_in

Wait = Callable[[Callable[[], bool]], None]


def test_a_job_trains_validates_tests_and_leaves_verified_results(machine: Machine) -> None:
    code, output = machine.run("run", machine.job(training={"epochs": 2}))
    assert code == 0, output
    (place,) = machine.results.glob("default/small/*")
    manifest = read_manifest(open_storage(str(place)))
    assert verify(open_storage(str(place))) == []
    paths = {entry.path for entry in manifest.objects}
    assert {"config.py", "run.json", "metrics.jsonl", "data/train.txt", "checkpoints/epoch_2.pth"} <= paths
    assert any(re.fullmatch(r"checkpoints/best_.*\.pth", path) for path in paths)
    result = Result.model_validate(manifest.summary)
    lines = [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
    (test,) = [line for line in lines if line["stage"] == "test"]
    assert result.world_size == 2
    assert result.test is not None
    assert (result.test.top1, result.test.videos) == (test["top1"], 6)
    assert [line["epoch"] for line in lines if line["stage"] == "val"] == [1, 2]
    assert not list(machine.state.rglob("*.pth")), "the run folder of a job that succeeded is removed"
    assert machine.run("render", machine.root / "small.yaml")[1] == " ".join((place / "config.py").read_text().split())

    check_test(place, result)
    check_another_attempt(machine, place)

    before = {path: path.stat().st_mtime_ns for path in machine.results.rglob("*") if path.is_file()}
    assert machine.run("run", machine.job(dataset={"numClasses": 7}))[0] == DataFailure.exit_code
    assert {path: path.stat().st_mtime_ns for path in before} == before, "a later job that fails touches nothing"


def check_another_attempt(machine: Machine, place: Path) -> None:
    """It finds what is there, as if the first had been killed before it could say so, and trains nothing."""
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()}
    run_dir = machine.root / "again"
    run_dir.mkdir()
    for name in (layout.CONFIG, layout.RUN):
        shutil.copy(place / name, run_dir / name)
    (place / "resume" / "1").mkdir(parents=True)
    (place / "resume" / "1" / "iter_3.pth").write_bytes(b"what the first was about to delete")
    launcher = [
        sys.executable,
        "-m",
        "mmaction_trainer.launch",
        str(run_dir),
        "--attempt=2",
        "--rendezvous=localhost:1",
    ]
    subprocess.run(launcher, env={**os.environ, **machine.environment}, cwd=machine.root, check=True)
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()} == before
    left = Result.read(run_dir / layout.RESULT)
    assert left.manifest_sha256 == hashlib.sha256((place / "manifest.json").read_bytes()).hexdigest()
    assert left.model_copy(update={"manifest_sha256": None}) == Result.model_validate(
        read_manifest(open_storage(str(place))).summary
    )


def check_test(place: Path, result: Result) -> None:
    """What the test left says what the score says, of which data and weights, and every video's part in it."""
    found = json.loads((place / "test" / "metrics.json").read_text())
    assert result.test
    assert result.data
    assert (found["top1"], found["top5"]) == (result.test.top1, result.test.top5)
    assert found["meanClass"] == pytest.approx(result.test.mean_class)
    assert (found["dataSHA256"], found["split"], found["videos"]) == (result.data.tested_sha256, 1, 6)
    assert (found["checkpoint"], found["checkpointSHA256"]) == (result.checkpoint, result.checkpoint_sha256)
    assert hashlib.sha256((place / found["checkpoint"]).read_bytes()).hexdigest() == found["checkpointSHA256"]
    scores = np.load(place / "test" / "scores.npy")
    assert scores.shape == (6, 6)
    with (place / "test" / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sum(row["top1"] == row["label"] for row in rows) / 6 == pytest.approx(found["top1"])
    assert len((place / "test" / "per-class.csv").read_text().splitlines()) == 7
    for form in ("index.html", "report.md"):
        assert f"{100 * found['top1']:.2f} %" in (place / "report" / form).read_text()
    facts = Facts.read(place / "report" / "report.json")
    assert (facts.test.top1, facts.val, facts.complexity) == (found["top1"], result.val, result.complexity)
    assert (len(facts.training), [each.epoch for each in facts.validations]) == (2, [1, 2])
    assert result.complexity
    assert result.complexity.parameters > 1_000_000
    assert result.complexity.flops_per_view > 1_000_000
    speed = result.complexity.speed
    assert speed
    assert (speed.precision, speed.peak_memory_bytes) == ("fp32", None)
    assert "thread" in speed.device
    assert min(speed.latency_ms, speed.views_per_second) > 0
    assert f"{speed.latency_ms:.1f} ms" in (place / "report" / "index.html").read_text()
    assert result.seconds
    run = Run.read(place / "run.json")
    assert (run.model, run.frames) == (JOB["spec"]["model"]["config"], "1x1x8")


def test_eight_runs_started_at_one_moment_share_neither_port_nor_world(machine: Machine) -> None:
    started = [machine.start("run", machine.job(f"job-{number}")) for number in range(8)]
    outputs = [process.communicate(timeout=900)[0] for process in started]
    assert [process.returncode for process in started] == [0] * 8, "\n".join(outputs)
    runs = [Run.read(path) for path in machine.results.glob("default/*/*/run.json")]
    results = [Result.model_validate(job.summary) for job in map(manifest_of, machine.results.glob("default/*/*"))]
    assert len({run.rendezvous.port for run in runs}) == 8
    assert len({run.job.rendezvous_id for run in runs}) == 8
    assert [result.world_size for result in results] == [2] * 8, "as the ranks counted themselves"


def manifest_of(place: Path) -> Manifest:
    return read_manifest(open_storage(str(place)))


def test_a_port_taken_between_lease_and_start_is_replaced(machine: Machine, wait_until: Wait) -> None:
    process = machine.start("run", machine.job())
    wait_until(lambda: bool(list(machine.state.rglob(layout.RUN))))
    (told,) = machine.state.rglob(layout.RUN)
    port = Run.read(told).rendezvous.port
    with socket.socket() as foreign:
        foreign.bind(("127.0.0.1", port))
        foreign.listen()
        output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert f"port {port} was taken by another process before training began; taking another" in output
    (run,) = (Run.read(path) for path in machine.results.rglob(layout.RUN))
    assert run.rendezvous.port != port
    assert run.job.attempt == 2


def a_holder(name: str) -> Holder:
    return Holder.of(JobIdentity(namespace="team-a", name=name, uid="u"), datetime.now(UTC))


def test_a_run_that_wants_a_held_gpu_refuses_and_names_the_holder(machine: Machine) -> None:
    machine.environment["CUDA_VISIBLE_DEVICES"] = "0"
    folder = LeaseFolder(Path(machine.environment["TRAINJOB_LEASES"]))
    with lease_gpus(folder, 1, ["0"], a_holder("long-training")):
        code, output = machine.run("run", machine.job(resources={"gpusPerNode": 1, "processesPerNode": 1}))
    assert code == DeviceFailure.exit_code
    assert "team-a/long-training" in output
    assert not machine.results.exists()


def test_a_run_that_waits_for_a_gpu_starts_when_it_is_free(machine: Machine, wait_until: Wait) -> None:
    machine.environment["CUDA_VISIBLE_DEVICES"] = "0"
    folder = LeaseFolder(Path(machine.environment["TRAINJOB_LEASES"]))
    job = machine.job(resources={"gpusPerNode": 1, "processesPerNode": 1})
    with lease_gpus(folder, 1, ["0"], a_holder("long-training")):
        process = machine.start("run", "--wait", job)
        assert process.stdout is not None
        assert "waiting: gpu 0 is held by team-a/long-training" in process.stdout.readline()
        assert not machine.state.exists()
    output, _ = process.communicate(timeout=300)
    assert "on 0, learning rate" in output, "it got the GPU"
    # Then, as this is no GPU, torch says that there is none.
    assert process.returncode == DeviceFailure.exit_code
    assert "torch finds 0" in output


def test_ctrl_c_ends_every_rank_and_leaves_a_checkpoint(machine: Machine, wait_until: Wait) -> None:
    process = machine.start("run", machine.job(training={"epochs": 500, "valInterval": 500}))
    wait_until(lambda: any(trains(path) for path in machine.state.rglob(layout.PROGRESS)))
    assert len([words for words in processes_in(machine.root) if "runtime.worker" in words]) >= 2
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == Interrupted.exit_code, output
    assert processes_in(machine.state) == []
    (checkpoint,) = machine.results.rglob("stopped_*.pth")
    assert f"{checkpoint.stem.rpartition('-')[0]}.pth was left" in output
    assert not list(machine.results.rglob("manifest.json"))


def trains(path: Path) -> bool:
    return Progress.read(path).stage == "Training"


def test_a_killed_rank_is_told_as_such(machine: Machine, wait_until: Wait) -> None:
    process = machine.start("run", machine.job(training={"epochs": 500, "valInterval": 500}))
    wait_until(lambda: any(trains(path) for path in machine.state.rglob(layout.PROGRESS)))
    ranks = [pid for pid, words in working_in(machine.state).items() if is_rank(words)]
    os.kill(max(ranks), signal.SIGKILL)
    output, _ = process.communicate(timeout=180)
    assert process.returncode == Failure.exit_code, output
    assert "killed by SIGKILL, and not for memory" in " ".join(output.split())
    assert processes_in(machine.state) == []


def is_rank(words: str) -> bool:
    return words.endswith("mmaction_trainer.runtime.worker ") and "torch.distributed" not in words
