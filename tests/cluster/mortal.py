"""An API server that a test kills and brings back, or lets hang: what else runs goes on."""

from __future__ import annotations

import os
import signal

from .api_server import ApiServer


class Mortal:
    """A server's API server process; its storage stays, and so do all who ask it."""

    def __init__(self, server: ApiServer) -> None:
        assert server.process, "not the server that a context manager gave"
        self.server, self.process = server, server.process

    def kill(self) -> None:
        """End it, as a power cut does: connections are refused from now on."""
        self.process.kill()

    def revive(self) -> None:
        """Start it again, on the same storage."""
        self.process.start()
        self.process.wait_until(self.server.is_ready)

    def hang(self) -> None:
        """Let it answer nothing any more: connections are taken by the kernel, and stay open."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again, also what it was asked meanwhile."""
        os.kill(self.process.pid, signal.SIGCONT)
