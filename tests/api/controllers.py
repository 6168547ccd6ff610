"""The controller as a process, beside the API server that a test has."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def wait_until(condition: Callable[[], Any], within: float = 60, every: float = 0.1) -> None:
    """Wait until something is so, looking again every so many seconds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(every)


def launch_controller(kubeconfig: Path, log: Path, *more: str, pod: str = "") -> subprocess.Popen[bytes]:
    """A controller that reaches the API server by a kubeconfig, from its first moment on; in a pod, if one is named."""
    program = (sys.executable, "-m", "mmaction_operator.controller.start")
    words = [*program, "--trainer-image", "trainer:v1", "--port", "0", *more]
    environment = {"KUBECONFIG": str(kubeconfig), "PATH": "/usr/bin:/bin"}
    environment |= {"POD_NAME": pod, "POD_UID": f"uid-{pod}"} if pod else {}
    with log.open("wb") as output:
        return subprocess.Popen(words, cwd=ROOT, env=environment, stdout=output, stderr=output)


def start_controller(kubeconfig: Path, log: Path, *more: str, pod: str = "") -> subprocess.Popen[bytes]:
    """The same, once it has begun to work."""
    process = launch_controller(kubeconfig, log, *more, pod=pod)
    wait_until(lambda: "answering HTTP" in log.read_text())
    return process


@contextmanager
def a_controller(kubeconfig: Path, log: Path, *more: str) -> Iterator[None]:
    """A controller for as long as the body runs, ended in order."""
    process = start_controller(kubeconfig, log, *more)
    try:
        yield
    finally:
        process.terminate()
        assert process.wait(30) == 0, log.read_text()[-2000:]
