"""The trainer's launcher as a child of this process: its folder, its start, and what is seen of it until it ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from mmaction_operator.render import Rendered
from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.errors import Failure
from mmaction_trainer.contract.progress import Progress
from mmaction_trainer.contract.result import FailureReport, Result
from mmaction_trainer.contract.run import Run

SECONDS_BETWEEN_LOOKS = 0.3
LAUNCHER_LOG = "launcher.log"


@dataclass
class Watcher:
    """Who is told what happens: a terminal, or a test."""

    say: Callable[[str], None]
    show: Callable[[Progress], None]


def run_folder(state: Path, name: str, rendered: Rendered, told: Run, *, anew: bool = False) -> Path:
    """A run directory of a job, with what its launcher is told; with ``anew`` in place of one that is there."""
    folder = state / told.job.namespace / told.job.name / told.job.uid / name
    if anew:
        shutil.rmtree(folder, ignore_errors=True)
    (folder / layout.LOGS).mkdir(parents=True)
    (folder / layout.CONFIG).write_text(rendered.text)
    told.write(folder / layout.RUN)
    return folder


def start(
    folder: Path, words: Sequence[str], environment: Mapping[str, str], fds: tuple[int, ...]
) -> subprocess.Popen[bytes]:
    """Start the launcher in a session of its own, so that Ctrl-C reaches it through us alone.

    It inherits the leases, as file descriptors: should this process be killed, they last as long as the training.
    """
    with (folder / layout.LOGS / LAUNCHER_LOG).open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "mmaction_trainer.launch", str(folder), *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            pass_fds=fds,
            start_new_session=True,
        )


def follow(process: subprocess.Popen[bytes], folder: Path, watcher: Watcher, stopping: str) -> Result:
    """Show progress until the launcher ends, pass signals on to it, and return what it left.

    Args:
        stopping: what happens once a signal was passed on, for people.
    """

    def stop(signum: int, frame: FrameType | None) -> None:
        watcher.say(f"stopping: {stopping}")
        process.send_signal(signal.SIGTERM)

    before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for signum, handler in before.items():
        if handler != signal.SIG_IGN:  # nohup
            signal.signal(signum, stop)
    went_on = False
    try:
        while True:
            ended = process.poll() is not None
            if progress := newest(folder):
                if progress.resumed and not went_on:
                    watcher.say(f"goes on from {progress.resumed}")
                    went_on = True
                watcher.show(progress)
            if ended:
                break
            time.sleep(SECONDS_BETWEEN_LOOKS)
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
    path = folder / layout.RESULT
    return Result.read(path) if path.exists() else unexplained(process, folder)


def newest(folder: Path) -> Progress | None:
    """How far the run is, once it has said so."""
    path = folder / layout.PROGRESS
    return Progress.read(path) if path.exists() else None


def unexplained(process: subprocess.Popen[bytes], folder: Path) -> Result:
    """The result of a launcher that left none."""
    failure = Failure(str(folder / layout.LOGS / LAUNCHER_LOG), f"the launcher ended with code {process.returncode}")
    results = Run.read(folder / layout.RUN).results_uri
    return Result(outcome="Failed", results_uri=results, port=0, world_size=0, error=FailureReport.of(failure))
