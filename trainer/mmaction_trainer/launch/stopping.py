"""What SIGTERM and SIGINT do, which is not the same at each moment of an attempt."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType


class Stopped(BaseException):
    """The launcher was told to stop and had no ranks to wait for.

    No ``Exception``: libraries catch those and try again, and botocore does so in the middle of a request.
    """


class StopRequest:
    """The handler of both signals.

    Without ranks, a signal ends the launcher where it stands. With ranks, it leaves the file that they look for, and
    they have ``--grace`` to stop by themselves. At the end, when only the outcome is left to be told, it is noted and
    nothing else.
    """

    def __init__(self) -> None:
        self.asked = False
        self.file: Path | None = None
        self.over = False

    def install(self) -> None:
        """Handle the signals from now on."""
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self)

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        """Called with a signal, in the main thread."""
        first, self.asked = not self.asked, True
        if self.file:
            self.file.touch()
        elif first and not self.over:
            raise Stopped

    def check(self) -> None:
        """Stop here if a signal came: what it raised may have been lost in a finalizer.

        Raises:
            Stopped: one came.
        """
        if self.asked:
            raise Stopped

    @contextmanager
    def by_file(self, file: Path) -> Iterator[None]:
        """Ranks run in the body, and look for ``file``."""
        self.file = file
        try:
            yield
        finally:
            self.file = None
