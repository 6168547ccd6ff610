"""The log: a line of JSON for each thing that was done or found, written as it happens; and the summary."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class Journal:
    """What was done when, for whoever reads it later; ``problems`` is what must not have been.

    Args:
        path: where it is written.
        seed: on every line.
    """

    def __init__(self, path: Path, seed: int) -> None:
        self.seed, self.begun, self.round = seed, time.monotonic(), 0
        self.problems: list[str] = []
        self.counts: dict[str, Counter[str]] = {"rounds": Counter(), "jobs": Counter(), "failures": Counter()}
        self.path = path
        self.path.write_text("")
        self._writing = threading.Lock()

    def write(self, what: str, **told: Any) -> None:
        """Add a line, and show it. Called from any thread."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, "seed": self.seed, "round": self.round, "what": what, **told})
        with self._writing, self.path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
            print(line, file=sys.stderr, flush=True)

    def problem(self, text: str, **told: Any) -> None:
        """Note what must not be; what is seen again and again, once."""
        if text not in self.problems:
            self.problems.append(text)
            self.write("PROBLEM", problem=text, **told)

    def count(self, of: str, what: str, times: int = 1) -> None:
        """Count something for the summary."""
        self.counts.setdefault(of, Counter())[what] += times

    def summary(self) -> dict[str, Any]:
        """How much was done, and what did not hold."""
        counted = {of: dict(sorted(each.items())) for of, each in self.counts.items()}
        seconds = round(time.monotonic() - self.begun)
        return {"seconds": seconds, **counted, "problems": self.problems}
