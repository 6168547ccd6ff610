"""How long it took to build and start what tests run against, told while it happens and again at the end."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)

taken: list[tuple[str, float]] = []
"""What was done in this process, and the seconds that it took."""


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Time the body."""
    begun = time.monotonic()
    yield
    seconds = time.monotonic() - begun
    taken.append((what, seconds))
    log.info("%s: %.1f s", what, seconds)
