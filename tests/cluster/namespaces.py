"""Namespaces of the kernel, held open by a ``pause`` process, and commands that run in them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .process import Process, running
from .programs import program


@dataclass(frozen=True)
class Namespaces:
    """Namespaces of the process ``pid``; ``kinds`` as nsenter(1) names them: net, mount, pid, uts."""

    pid: int
    kinds: tuple[str, ...]

    def command(self, *words: str | Path) -> list[str]:
        """A command line that runs ``words`` inside."""
        return ["nsenter", f"--target={self.pid}", *(f"--{kind}" for kind in self.kinds), "--", *map(str, words)]

    def run(self, *words: str | Path, given: str | None = None) -> str:
        """Run a command inside; its output.

        Raises:
            RuntimeError: it failed; with what it said.
        """
        return run(*self.command(*words), given=given)


def run(*words: str | Path, given: str | None = None) -> str:
    """Run a command; its output.

    Raises:
        RuntimeError: it failed; with what it said.
    """
    done = subprocess.run([str(word) for word in words], input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stderr.strip() or done.returncode}")
    return done.stdout


@contextmanager
def hold(name: str, kinds: Sequence[str], folder: Path) -> Iterator[Namespaces]:
    """New namespaces for as long as the body runs; with ``pid`` among them, everything in them ends with it."""
    options = [f"--{kind}" for kind in kinds]
    if "pid" in kinds:
        options += ["--fork", "--kill-child=KILL", "--mount-proc"]
    with running(name, ["unshare", *options, program("pause")], folder) as process:
        process.wait_until(lambda: holder(process, "pid" in kinds) is not None)
        held = Namespaces(holder(process, "pid" in kinds) or process.pid, tuple(kinds))
        try:
            yield held
        finally:  # the innermost first, so that everything has a parent that notices its end
            os.kill(held.pid, signal.SIGKILL)
            process.running.wait()


def holder(process: Process, forked: bool) -> int | None:
    """The process that is ``pause``, once ``unshare`` has become it, or has it as a child."""
    pid = process.pid
    if forked:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if not children:
            return None
        pid = int(children[0])
    return pid if Path(f"/proc/{pid}/comm").read_text().strip() == "pause" else None
