"""A rank that gets nowhere is found, asked where it stands, and named; one that is only slow is left alone."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from examples.demo import clips
from mmaction_trainer.contract.errors import CollectiveFailure
from mmaction_trainer.contract.heartbeat import Beat, beat_of
from mmaction_trainer.contract.pod import HANG_AFTER
from mmaction_trainer.contract.result import Result
from mmaction_trainer.launch.stacks import children

from .conftest import CLIPS, Machine

Wait = Callable[[Callable[[], bool]], None]
FLOOR = 5
"""Seconds, instead of the two minutes that users have."""
PAUSE = 2
"""Seconds that a rank is stopped and goes on."""
SLEEPY = """
import os, signal, time

def sleep_forever(*_):
    time.sleep(100_000)

if "RANK" in os.environ:
    signal.signal(signal.SIGUSR2, sleep_forever)
"""
"""What every Python process of these runs begins with: a rank, or a loader of it, that a test can put to sleep."""


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real clips, of which an epoch takes some seconds: most of a training is in the middle of one."""
    root = tmp_path_factory.mktemp("data") / "sixty"
    clips.build(CLIPS, root, train=10, test=1)
    return root


class Training:
    """A run of two ranks, with a loader each."""

    def __init__(self, machine: Machine, wait_until: Wait) -> None:
        (machine.root / "sitecustomize.py").write_text(SLEEPY)
        machine.environment |= {HANG_AFTER: str(FLOOR), "PYTHONPATH": str(machine.root)}
        job = machine.job(training={"epochs": 50, "valInterval": 50, "batchSizePerGPU": 1, "workers": 1})
        self.machine, self.wait_until = machine, wait_until
        self.process: subprocess.Popen[str] = machine.start("run", job)

    @property
    def folder(self) -> Path:
        """The run directory."""
        return next(self.machine.state.glob("default/small/*/attempt-1"))

    def beat(self, rank: int) -> Beat | None:
        """What a rank says, where it trains and its steps are measured."""
        if not list(self.machine.state.glob("default/small/*/attempt-1")):
            return None
        beat = beat_of(self.folder, rank)
        return beat if beat and beat.slowest is not None else None

    def in_the_middle(self, rank: int) -> Beat:
        """Wait until a rank is in the middle of an epoch."""

        def there() -> bool:
            beat = self.beat(rank)
            found = beat and re.search(r"iteration (\d+) of epoch", beat.doing)
            return bool(found and 3 < int(found[1]) < 25)

        self.wait_until(there)
        beat = self.beat(rank)
        assert beat
        return beat

    def ended(self) -> tuple[Result, str, float]:
        """Wait for the end; its result, its output, and how long that took."""
        began = time.monotonic()
        output, _ = self.process.communicate(timeout=120)
        assert self.process.returncode == CollectiveFailure.exit_code, output
        return Result.read(self.folder / "result.json"), output, time.monotonic() - began

    def stacks(self, rank: int) -> str:
        """Where the processes of a rank stood, as storage has it."""
        (path,) = self.machine.results.glob(f"default/small/*/logs/stacks-attempt-1-rank-{rank}.log")
        return path.read_text()


def test_a_rank_that_stops_is_named_and_a_pause_of_it_is_not_a_hang(machine: Machine, wait_until: Wait) -> None:
    training = Training(machine, wait_until)
    pid = training.in_the_middle(1).pid
    os.kill(pid, signal.SIGSTOP)
    time.sleep(PAUSE)
    os.kill(pid, signal.SIGCONT)
    before = training.in_the_middle(1).place
    wait_until(lambda: (beat := training.beat(1)) is not None and beat.place > before + 8)
    training.in_the_middle(1)
    os.kill(pid, signal.SIGSTOP)
    result, _, seconds = training.ended()
    assert result.error
    assert (result.error.failure, result.error.rank) == ("Collective", 1)
    assert "it is stopped, as SIGSTOP does; rank 0 waits for it" in result.error.message
    assert "runtime/worker.py" in training.stacks(0)
    assert "runtime/worker.py" in training.stacks(1)
    assert seconds < 60


def test_a_rank_that_sleeps_while_the_other_waits_in_an_all_reduce_is_named(machine: Machine, wait_until: Wait) -> None:
    training = Training(machine, wait_until)
    os.kill(training.in_the_middle(1).pid, signal.SIGUSR2)
    result, output, _ = training.ended()
    assert result.error
    assert result.error.rank == 1
    assert "sleep_forever" in result.error.last_lines[0]
    assert "sleep_forever" in output
    assert "sleep_forever" not in training.stacks(0)


def test_a_loader_that_sleeps_is_shown_by_its_own_stack(machine: Machine, wait_until: Wait) -> None:
    training = Training(machine, wait_until)
    for loader in children(training.in_the_middle(0).pid):
        os.kill(loader, signal.SIGUSR2)
    result, _, _ = training.ended()
    assert result.error
    assert result.error.rank == 0
    assert "waiting for the batch of iteration" in result.error.message
    assert "sleep_forever" in training.stacks(0)
