"""Whole runs on this machine: a small data set of real clips, a small job, and the command line in a process."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from examples.demo import clips

CLIPS = Path(__file__).parents[1] / "data" / "clips"

JOB: dict[str, Any] = {
    "apiVersion": "mmaction.dev/v1alpha1",
    "kind": "TrainJob",
    "metadata": {"name": "small"},
    "spec": {
        "model": {
            "config": "tsm_imagenet-pretrained-mobilenetv2_8xb16-1x1x8-100e_kinetics400-rgb",
            "pretrained": "none",
        },
        "dataset": {"format": "ucf101", "numClasses": 6},
        "input": {"cropSize": 32},
        "training": {"epochs": 1, "batchSizePerGPU": 3, "lr": 0.01, "workers": 0},
        "evaluation": {"clips": 1, "crops": 1},
        "resources": {"gpusPerNode": 0, "processesPerNode": 2},
        "preflight": False,  # test_faults.py is about that
    },
}


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two training segments and one test segment of each of six real clips."""
    root = tmp_path_factory.mktemp("data") / "six"
    clips.build(CLIPS, root, train=2, test=1)
    return root


@dataclass
class Machine:
    """A machine of its own for a test: its leases, its run folders, its cache."""

    root: Path
    dataset: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def results(self) -> Path:
        """Where jobs leave their results unless they say otherwise."""
        return self.root / "results"

    @property
    def state(self) -> Path:
        """Run folders of jobs that run or failed."""
        return self.root / "state"

    def be_alone(self) -> None:
        """Share no leases, folders or cache with any other run."""
        self.environment |= {
            "TRAINJOB_LEASES": str(self.root / "leases"),
            "TRAINJOB_STATE": str(self.state),
            "TRAINJOB_CACHE": str(self.root / "cache"),
            "COLUMNS": "400",
        }

    def job(self, name: str = "small", **changes: Any) -> Path:
        """A job file; ``changes`` are merged into its spec."""
        manifest = copy.deepcopy(JOB)
        manifest["metadata"]["name"] = name
        spec = merged(manifest["spec"], {"dataset": {"uri": str(self.dataset)}, "storage": {"uri": str(self.results)}})
        manifest["spec"] = merged(spec, changes)
        path = self.root / f"{name}.yaml"
        path.write_text(yaml.safe_dump(manifest))
        return path

    def start(self, *words: str | Path, **options: Any) -> subprocess.Popen[str]:
        """Start ``trainjob`` with these words."""
        return subprocess.Popen(
            [sys.executable, "-c", "from mmaction_operator.cli import main; main()", *map(str, words)],
            env={**os.environ, **self.environment},
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )

    def run(self, *words: str | Path, timeout: float = 300, **options: Any) -> tuple[int, str]:
        """Exit code and output of ``trainjob``; white space in the output is single."""
        process = self.start(*words, **options)
        output, _ = process.communicate(timeout=timeout)
        return process.returncode, " ".join(output.split())


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """``base`` with ``changes``, dict by dict."""
    return {
        **base,
        **{
            key: merged(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
            for key, value in changes.items()
        },
    }


@pytest.fixture
def machine(tmp_path: Path, dataset: Path) -> Iterator[Machine]:
    """A machine that no other test uses."""
    machine = Machine(tmp_path, dataset)
    machine.be_alone()
    yield machine
    left = processes_in(tmp_path)
    assert not left, f"processes left behind: {left}"


def processes_in(folder: Path) -> list[str]:
    """Command lines of processes that work in or below ``folder``."""
    return list(working_in(folder).values())


def working_in(folder: Path) -> dict[int, str]:
    """Processes that work in or below ``folder``, and the command line of each."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if (process / "cwd").readlink().is_relative_to(folder):
                found[int(process.name)] = words
    return found


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    """Wait for something to become true, at most two minutes."""

    def wait(condition: Callable[[], bool]) -> None:
        import time

        deadline = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in two minutes"
            time.sleep(0.05)

    return wait
