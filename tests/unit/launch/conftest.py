"""What the tests of the launcher share: a mounted ConfigMap, a small data set, and the launcher as a pod starts it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mmaction_operator.api import parse
from mmaction_operator.render import Rendered, render
from mmaction_trainer.contract import pod
from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.preflight import Preflight
from mmaction_trainer.contract.result import Result
from mmaction_trainer.contract.run import DataSource, Run
from tests.run_folders import a_run, free_port

CLIPS = Path(__file__).parents[2] / "data" / "clips"
MP4, OTHER, AVI = CLIPS / "part_0.mp4", CLIPS / "demo.mp4", CLIPS / "test.avi"


def small_model(pretrained: str = "none", **spec: Any) -> Rendered:
    """A config of two classes that builds in seconds."""
    job = {
        "apiVersion": "mmaction.dev/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": "small"},
        "spec": {
            "model": {
                "config": "tsm_imagenet-pretrained-mobilenetv2_8xb16-1x1x8-100e_kinetics400-rgb",
                "pretrained": pretrained,
            },
            "dataset": {"uri": "data", "format": "list", "numClasses": 2},
            "input": {"cropSize": 32},
            "training": {"epochs": 20, "batchSizePerGPU": 2, "lr": 0.001, "workers": 0},
            "resources": {"gpusPerNode": 0},
            "storage": {"uri": "results"},
            **spec,
        },
    }
    return render(parse(job))


def config_map(folder: Path, run: Run, config: bytes = b"") -> Path:
    """A folder as the kubelet mounts a ConfigMap: files are links through ``..data``, and nothing can be written."""
    version = folder / "..2026_01_02_03_04_05.678"
    version.mkdir(parents=True)
    (version / layout.CONFIG).write_bytes(config)
    run.write(version / layout.RUN)
    (folder / "..data").symlink_to(version.name)
    for name in (layout.CONFIG, layout.RUN):
        (folder / name).symlink_to(f"..data/{name}")
        (version / name).chmod(0o444)
    version.chmod(0o555)
    folder.chmod(0o555)
    return folder


def small_data(folder: Path) -> Path:
    """Two classes, three videos, in the format ``list``."""
    (folder / "videos").mkdir(parents=True)
    for name, clip in (("a.mp4", MP4), ("b.avi", AVI), ("c.mp4", OTHER)):
        shutil.copy(clip, folder / "videos" / name)
    (folder / "train.txt").write_text("a.mp4 0\nb.avi 1\n")
    (folder / "val.txt").write_text("c.mp4 1\n")
    return folder


@dataclass
class Pod:
    """A pod's view of the launcher: its folders, its environment, its end."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    inode: int = 0
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def run_dir(self) -> Path:
        return self.root / "run"

    @property
    def message(self) -> Path:
        """The termination message; it is there before the container begins, and cannot be replaced."""
        return self.root / "termination-log"

    def told(self, uid: str = "a", **changes: Any) -> Run:
        """A run whose results go to a folder and whose data is small."""
        source = DataSource(uri=str(self.root / "data"), format="list", num_classes=2)
        run = a_run(uid, port=free_port(), nodes=changes.pop("nodes", 1), results=self.root / "results")
        return run.model_copy(update={"data": source, **changes})

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        """Start ``mmaction-trainer`` with these words."""
        self.message.touch()
        self.inode = self.message.stat().st_ino
        process = subprocess.Popen(
            [sys.executable, "-m", "mmaction_trainer.launch", *map(str, words), f"--cache={self.root / 'cache'}"],
            env={**os.environ, pod.TERMINATION_LOG: str(self.message), **self.environment},
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(process)
        return process

    def run(self, *words: str | Path) -> tuple[int, str, Result]:
        """Exit code, output and termination message."""
        process = self.start(*words)
        output, _ = process.communicate(timeout=120)
        return process.returncode, output, self.result()

    def mounted(self, run: Run, rendered: Rendered | None = None) -> Path:
        """The mounted ConfigMap of a run, which is told what belongs to its config."""
        rendered = rendered or small_model()
        told = {
            "config_sha256": rendered.sha256,
            "effective_lr": rendered.effective_lr,
            "warnings": rendered.warnings,
            "pretrained": run.pretrained or rendered.weights,
        }
        return config_map(self.root / "mounted", run.model_copy(update=told), rendered.text.encode())

    def preflight(self, run: Run, rendered: Rendered | None = None) -> tuple[int, str, Result]:
        """Exit code, output and termination message of a preflight of a mounted run."""
        return self.run("--preflight", "--from", self.mounted(run, rendered), self.run_dir)

    @property
    def report(self) -> Preflight:
        """Every check of a preflight that came to its end."""
        return Preflight.read(self.run_dir / layout.PREFLIGHT)

    def result(self) -> Result:
        """The termination message, read as the controller reads it."""
        assert self.message.stat().st_ino == self.inode, "a file that is mounted can only be written in place"
        content = self.message.read_bytes()
        assert len(content) <= pod.TERMINATION_BYTES
        return Result.model_validate_json(content)


@pytest.fixture
def a_pod(tmp_path: Path) -> Iterator[Pod]:
    """A pod that nothing was mounted into yet, with a small data set."""
    small_data(tmp_path / "data")
    pod_of_test = Pod(tmp_path)
    yield pod_of_test
    for process in pod_of_test.started:
        process.kill()  # one that a failed test left behind; of one that has ended it does nothing
        process.wait()
    for folder in tmp_path.rglob("..2026*"):
        folder.chmod(0o755)  # for whoever removes the test's folder, if that is not root
        folder.parent.chmod(0o755)


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    """Wait for something to become true, at most half a minute."""

    def wait(condition: Callable[[], bool]) -> None:
        import time

        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in half a minute"
            time.sleep(0.02)

    return wait
