"""Trainings that are ended in the middle and gone on with: they come to what one that was left alone comes to."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from resource import RLIMIT_AS, prlimit

import pytest

from mmaction_trainer.contract.checkpoints import INDEX, PREFIX, StoredCheckpoints
from mmaction_trainer.contract.errors import ConfigFailure, Interrupted, StorageFailure

from .conftest import Machine, working_in
from .trainings import check_same, furthest, left_alone, training

KILLS = int(os.environ.get("KILLS", "4"))
"""How often the training is ended: more, where the environment says so, take longer."""
WAYS = ("ranks", "memory", "all", "SIGTERM")
EPOCHS = KILLS + 1
TRAINING = training(EPOCHS)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, dataset: Path) -> Path:
    """The results of a training that nothing disturbed."""
    return left_alone(tmp_path_factory.mktemp("alone"), dataset, EPOCHS)


def kill_the_ranks(process: subprocess.Popen[str], machine: Machine) -> None:
    """SIGKILL for all that works in the run's folder: nothing has a moment to save anything."""
    for pid in working_in(machine.root):
        if pid != process.pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def take_memory(machine: Machine) -> None:
    """Let one rank have no more memory than it has: its next allocation fails."""
    with suppress(ProcessLookupError):
        prlimit(max(ranks(machine)), RLIMIT_AS, (1 << 20, 1 << 20))


def ranks(machine: Machine) -> list[int]:
    """Processes that torchrun started; a loader has a rank's command line too."""
    (torchrun,) = (pid for pid, words in working_in(machine.root).items() if "torch.distributed.run" in words)
    return [int(child) for child in Path(f"/proc/{torchrun}/task/{torchrun}/children").read_text().split()]


def test_a_training_that_is_killed_at_random_moments_comes_to_the_same_weights_as_one_left_alone(
    machine: Machine, alone: Path
) -> None:
    chance = random.Random(8)
    job, words, kills, reached = machine.job(training=TRAINING), ("run",), 0, (0, 0)
    while True:
        process = machine.start(*words[:1], job, *words[1:])
        how = WAYS[kills % len(WAYS)] if kills < KILLS else "none"
        code = end(process, machine, how, after=chance.uniform(0, 1.2), since=reached)
        if code == 0:
            break
        kills += 1
        assert how != "none"
        now = furthest(machine.results)
        print(f"{kills}: {how}, code {code}; epochs and iterations in storage: {now}")
        assert now >= reached, "what was saved is never lost"
        reached, words = now, ("run", "--resume")
    assert kills
    (place,) = machine.results.glob("default/small/*")
    check_same(place, alone)


def end(process: subprocess.Popen[str], machine: Machine, how: str, *, after: float, since: tuple[int, int]) -> int:
    """End a run so long after its next checkpoint is in storage, or leave it; its exit code."""
    while process.poll() is None and how != "none":
        if list(machine.results.glob("default/small/*")) and furthest(machine.results) > since:
            time.sleep(after)
            break
        time.sleep(0.05)
    if how in ("SIGTERM", "SIGINT"):
        process.send_signal(signal.Signals[how])
    elif how == "memory":
        take_memory(machine)
    elif how != "none":
        if how == "all":
            process.kill()
        kill_the_ranks(process, machine)
    process.communicate(timeout=240)
    if how in ("ranks", "all"):
        kill_the_ranks(process, machine)
    return process.returncode


def stopped(machine: Machine, job: Path, after: float = 0) -> Path:
    """The results of a run that was stopped so many seconds after its first checkpoint."""
    assert end(machine.start("run", job), machine, "SIGINT", after=after, since=(0, 0)) == Interrupted.exit_code
    (place,) = machine.results.glob("default/small/*")
    return place


def test_ranks_may_be_fewer_where_a_step_has_the_same_videos(machine: Machine) -> None:
    job = machine.job(training=TRAINING)
    stopped(machine, job)
    other = {"training": TRAINING | {"batchSizePerGPU": 2}, "resources": {"processesPerNode": 1}}
    code, output = machine.run("run", machine.job(**other), "--resume")
    assert code == 0, output
    assert "goes on from attempt 1, after " in output
    (place,) = machine.results.glob("default/small/*")
    trained = [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
    assert [line["worldSize"] for line in trained if line["stage"] == "start"] == [2, 1]
    steps = [line["step"] for line in trained if line["stage"] == "train"]
    assert steps == sorted(set(steps))
    assert [line["epoch"] for line in trained if line["stage"] == "val"] == list(range(1, EPOCHS + 1))


def test_another_number_of_videos_in_a_step_is_refused(machine: Machine) -> None:
    stopped(machine, machine.job(training=TRAINING))
    code, output = machine.run("run", machine.job(training=TRAINING | {"batchSizePerGPU": 3}), "--resume")
    assert code == ConfigFailure.exit_code
    assert "is of a training with 2 videos in a step of all ranks together, and this one has 6" in output


def test_another_learning_rate_is_refused_and_not_forgotten(machine: Machine) -> None:
    stopped(machine, machine.job(training=TRAINING))
    code, output = machine.run("run", machine.job(training=TRAINING | {"lr": 0.02}), "--resume")
    assert code == ConfigFailure.exit_code
    assert "is of a training with another config: optim_wrapper" in output


def test_a_checkpoint_that_is_not_whole_is_passed_over_and_none_that_is_whole_fails(machine: Machine) -> None:
    job = machine.job(training=TRAINING | {"checkpointIterations": 1, "keepCheckpoints": 2})
    place = stopped(machine, job, after=1)  # so that it has another one
    (file,) = place.glob(f"{PREFIX}/1/{INDEX}")
    newest, older = StoredCheckpoints.read(file).checkpoints
    cut(place / PREFIX / newest.checkpoint.key)
    process = machine.start("run", job, "--resume")
    assert end(process, machine, "SIGINT", after=0, since=(newest.epoch, newest.iteration)) == Interrupted.exit_code
    log = next(machine.state.rglob("attempt-2/logs/launcher.log")).read_text()
    assert f"a checkpoint is passed over: {place}/{PREFIX}/{newest.checkpoint.key}" in log
    assert f"Goes on from {older.checkpoint.file} of attempt 1" in log
    for path in place.glob(f"{PREFIX}/*/*.pth"):
        cut(path)
    code, output = machine.run("run", job, "--resume")
    assert code == StorageFailure.exit_code
    assert "checkpoints is whole" in output


def cut(path: Path) -> None:
    """Take the end of a file away, as a disk does that is full."""
    path.write_bytes(path.read_bytes()[:-100])


def test_there_has_to_be_something_to_go_on_with(machine: Machine) -> None:
    code, output = machine.run("run", machine.job(training=TRAINING), "--resume")
    assert code == ConfigFailure.exit_code
    assert "--resume: no run of default/small" in output
    assert "left a checkpoint" in output
