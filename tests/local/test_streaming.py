"""Trainings whose videos come from S3 while they run: they begin with the first, and come to the same weights."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from examples.demo import clips
from mmaction_trainer.contract.errors import DataFailure, Interrupted
from mmaction_trainer.contract.progress import Progress
from tests.cluster.s3 import S3Server, start_rclone
from tests.cluster.s3_faults import Answer, Forward, Request, in_front_of, refusal

from .conftest import CLIPS, Machine

TRAINING = {"epochs": 1, "batchSizePerGPU": 2, "workers": 1}
"""Six steps of two ranks."""
SAMPLE = 10
"""Videos that are decoded before a rank starts: five of the training list, five of the one that is tested."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    folder = tmp_path_factory.mktemp("buckets")
    clips.build(CLIPS, folder / "datasets" / "set", train=4, test=2)
    with start_rclone(folder) as server:
        yield server


class Way:
    """The way to storage, which lets the sample through and then holds videos back, or loses them."""

    def __init__(self) -> None:
        self.through: set[str] = set()
        self.holds: Callable[[str], bool] = lambda name: False
        self.loses: Callable[[str], bool] = lambda name: False
        self.held = threading.Event()
        self.open = threading.Event()

    def __call__(self, request: Request, forward: Forward) -> Answer:
        name = Path(request.path).name
        if request.method == "GET" and name.endswith(".avi") and len(self.through) >= SAMPLE:
            if self.loses(name):
                return refusal(404, "NoSuchKey")
            if self.holds(name):
                self.held.set()
                self.open.wait(240)
        if name.endswith(".avi"):
            self.through.add(name)
        return forward(request)


@pytest.fixture
def way(server: S3Server, machine: Machine) -> Iterator[Way]:
    way = Way()
    with in_front_of(server, way) as behind:
        machine.environment |= behind.environment()
        yield way
        way.open.set()


def job_of(machine: Machine, name: str) -> Path:
    return machine.job(name, dataset={"uri": "s3://datasets/set"}, training=TRAINING)


def steps(machine: Machine) -> int:
    """Steps that a run has on record."""
    found = [Progress.read(path) for path in machine.state.rglob("progress.json")]
    return max((each.iteration or 0 for each in found if each.stage == "Training"), default=0)


def weights(machine: Machine, name: str) -> dict[str, torch.Tensor]:
    (file,) = machine.results.glob(f"default/{name}/*/checkpoints/epoch_1.pth")
    return dict(torch.load(file, weights_only=False)["state_dict"])


def test_training_begins_before_all_videos_are_here_and_comes_to_the_same_weights(
    machine: Machine, way: Way, wait_until: Callable[[Callable[[], bool]], None]
) -> None:
    way.holds = lambda name: name.endswith(("_test00.avi", "_test01.avi"))
    process = machine.start("run", job_of(machine, "cold"))
    wait_until(lambda: way.held.is_set() and steps(machine) > 0)
    (progress,) = (Progress.read(path) for path in machine.state.rglob("progress.json"))
    here, of = progress.message.removesuffix(" videos are here").split(" of ")
    assert int(here) < int(of) == 36
    way.open.set()
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    seen = len(way.through)
    code, output = machine.run("run", job_of(machine, "warm"))
    assert code == 0, output
    assert len(way.through) == seen == 36
    cold, warm = weights(machine, "cold"), weights(machine, "warm")
    assert cold.keys() == warm.keys()
    assert not [key for key in cold if not torch.equal(cold[key], warm[key])]


def test_a_run_whose_video_never_comes_fails_with_its_name_and_publishes_nothing(machine: Machine, way: Way) -> None:
    way.loses = lambda name: name.endswith("_test01.avi")
    code, output = machine.run("run", job_of(machine, "lost"))
    assert code == DataFailure.exit_code, output
    assert "_test01.avi: has vanished: it was there when the attempt began" in output
    assert not list(machine.results.rglob("manifest.json"))


def test_a_stop_ends_ranks_that_wait_for_videos(
    machine: Machine, way: Way, wait_until: Callable[[Callable[[], bool]], None]
) -> None:
    way.holds = lambda name: True
    process = machine.start("run", job_of(machine, "waits"))
    wait_until(lambda: bool(list(machine.state.rglob("data/wanted/rank-1.json"))))
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    output, _ = process.communicate(timeout=120)
    assert process.returncode == Interrupted.exit_code, output
    assert "stopped as asked while it waited for" in output
    assert time.monotonic() - began < 55, "within the grace that runs have, and not by its end"
