"""What `make` runs of the tests' servers is ours, whatever else the environment calls ``tests``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_without_a_command_it_says_which_there_are() -> None:
    command = [sys.executable, "-m", "tests.cluster"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "python -m tests.cluster up | keep | down | build | packages\n")
