"""An API server that a test kills and brings back, or lets hang: what else runs goes on."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from .api_server import ApiServer
from .process import Process, marked


class Mortal:
    """A server's API server process; its storage stays, and so do all who ask it.

    One that was brought back is its slot's, and ends with it.
    """

    PROGRAM = "kube-apiserver"

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        ((self._pid, self._command),) = (
            (pid, words) for pid in marked(server.folder) if Path((words := words_of(pid))[0]).name == self.PROGRAM
        )

    def kill(self) -> None:
        """End it, as a power cut does: connections are refused from now on."""
        os.kill(self._pid, signal.SIGKILL)
        while self.server.is_ready():
            time.sleep(0.01)

    def revive(self) -> None:
        """Start it again, on the same storage."""
        process = Process(self.PROGRAM, self._command, self.server.folder)
        process.wait_until(self.server.is_ready)
        self._pid = process.pid

    def hang(self) -> None:
        """Let it answer nothing any more: connections are taken by the kernel, and stay open."""
        os.kill(self._pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again, also what it was asked meanwhile."""
        os.kill(self._pid, signal.SIGCONT)


def words_of(pid: int) -> list[str]:
    """A process's command line; of one that has ended, none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1] or [""]
    except OSError:
        return [""]
