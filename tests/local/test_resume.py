"""Trainings that are ended in the middle and gone on with: they come to what one that was left alone comes to."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from mmaction_trainer.contract.checkpoints import INDEX, PREFIX, StoredCheckpoints
from mmaction_trainer.storage import open_storage, verify

from .conftest import Machine

EPOCHS, KILLS = 5, 20
TRAINING = {"epochs": EPOCHS, "batchSizePerGPU": 1, "checkpointIterations": 2, "workers": 1}
"""Six iterations an epoch, on two ranks; a checkpoint after every second one."""


def curve(place: Path) -> list[tuple[Any, ...]]:
    """What a run has on record of its training and validations."""
    lines = [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
    return [
        tuple((name, value) for name, value in sorted(line.items()) if name not in ("seconds", "videos"))
        for line in lines
        if line["stage"] in ("train", "val", "test")
    ]


def weights(place: Path) -> dict[str, torch.Tensor]:
    """Those that a run ended with."""
    return dict(torch.load(place / f"checkpoints/epoch_{EPOCHS}.pth", weights_only=False)["state_dict"])


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, dataset: Path) -> Path:
    """The results of a training that nothing disturbed."""
    machine = Machine(tmp_path_factory.mktemp("alone"), dataset)
    machine.be_alone()
    code, output = machine.run("run", machine.job(training=TRAINING))
    assert code == 0, output
    (place,) = machine.results.glob("default/small/*")
    return place


def check_same(place: Path, alone: Path) -> None:
    """The same curve, scores and weights, bit for bit; what only a resumed attempt needs is gone."""
    assert curve(place) == curve(alone)
    mine, theirs = weights(place), weights(alone)
    assert mine.keys() == theirs.keys()
    assert not [name for name in mine if not torch.equal(mine[name], theirs[name])]
    assert verify(open_storage(str(place))) == []
    assert not (place / PREFIX).exists() or not list((place / PREFIX).rglob("*.*"))


def progress_of(machine: Machine) -> tuple[int, int]:
    """Epochs and iterations of the checkpoint that is furthest in storage."""
    (place,) = machine.results.glob("default/small/*")
    indexes = [StoredCheckpoints.read(path) for path in place.glob(f"{PREFIX}/*/{INDEX}")]
    return max(((one.epoch, one.iteration) for index in indexes for one in index.checkpoints), default=(0, 0))


def kill_the_ranks(process: subprocess.Popen[str], machine: Machine) -> None:
    """SIGKILL for all that works in the run's folder: nothing has a moment to save anything."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink().is_relative_to(machine.root) and int(entry.name) != process.pid:
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:
            continue


def test_a_training_killed_at_twenty_moments_comes_to_the_same_weights_as_one_left_alone(
    machine: Machine, alone: Path
) -> None:
    chance = random.Random(8)
    job = machine.job(training=TRAINING)
    code, kills, reached = 1, 0, (0, 0)
    words: tuple[str, ...] = ()
    while code:
        process = machine.start("run", job, *words)
        how = chance.choice(["kill", "kill all", "stop"]) if kills < KILLS else "leave"
        wait = chance.uniform(0.0, 1.2)
        while process.poll() is None and how != "leave":
            if has_saved(machine, since=reached):
                time.sleep(wait)
                break
            time.sleep(0.05)
        if how == "stop":
            process.send_signal(signal.SIGINT)
        elif how != "leave":
            if how == "kill all":
                process.kill()
            kill_the_ranks(process, machine)
        output, _ = process.communicate(timeout=240)
        kill_the_ranks(process, machine)
        code, kills = process.returncode, kills + (how != "leave")
        if code:
            assert how != "leave", output
            now = progress_of(machine)
            assert now >= reached, "what was saved is never lost"
            reached, words = now, ("--resume",)
        print(kills, how, reached, code)
    (place,) = machine.results.glob("default/small/*")
    check_same(place, alone)


def has_saved(machine: Machine, since: tuple[int, int]) -> bool:
    return bool(list(machine.results.glob("default/small/*"))) and progress_of(machine) > since
