"""Processes that end with the process that started them, and whose last words are told where they fail."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

MARK = "MMACTION_TESTS_SLOT"
"""Environment variable of every process started here: the folder of its slot, by which leftovers are known."""

ENDS_WITH_ITS_PARENT = ("setpriv", "--pdeathsig", "KILL", "--", "sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"')
"""What starts a command, after the id of its parent: a parent that died before the kernel was told is noticed too."""


class Process:
    """One server: a process with a log file.

    The kernel kills it (``PR_SET_PDEATHSIG``) when the thread that started it ends, so start it from one that stays.
    """

    def __init__(self, name: str, command: Sequence[str | Path], folder: Path) -> None:
        self.name, self.command = name, [str(word) for word in command]
        self.log = folder / "log" / f"{name}.log"
        self.folder = folder
        self.log.parent.mkdir(exist_ok=True)
        self.start()

    def start(self) -> None:
        """Start it; one that has ended, again."""
        with self.log.open("ab") as output:
            self.running = subprocess.Popen(
                [*ENDS_WITH_ITS_PARENT, str(os.getpid()), *self.command],
                cwd=self.folder,
                env={**os.environ, MARK: str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.running.pid

    def wait_until(self, ready: Callable[[], bool], within: float = 60) -> None:
        """Wait until it is ready.

        Raises:
            RuntimeError: it ended, or was not ready in ``within`` seconds; with the end of its log.
        """
        deadline = time.monotonic() + within
        while not ready():
            if self.running.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self.running.returncode}:\n{self.last_words()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} is not ready after {within:.0f} s:\n{self.last_words()}")
            time.sleep(0.02)

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-3000:]

    def stop(self, within: float = 10) -> None:
        """Ask it to end, and kill it if it does not in ``within`` seconds."""
        if self.running.poll() is None:
            self.running.terminate()
            try:
                self.running.wait(within)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        self.running.kill()
        self.running.wait()


@contextmanager
def running(name: str, command: Sequence[str | Path], folder: Path) -> Iterator[Process]:
    """A process for as long as the body runs; then it is killed, as what it holds goes with its slot."""
    process = Process(name, command, folder)
    try:
        yield process
    finally:
        process.kill()


def end_leftovers(folder: Path) -> None:
    """Kill whatever a harness that is gone left running for this slot, and wait until it is."""
    deadline = time.monotonic() + 20
    while left := marked(folder):
        if time.monotonic() > deadline:
            raise RuntimeError(f"processes of {folder} do not end: {left}")
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.05)


def marked(folder: Path) -> list[int]:
    """Process ids that were started for a slot."""
    mark = f"{MARK}={folder}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except OSError:
            continue
    return found
