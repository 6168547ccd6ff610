"""What this program is called: it is installed as ``trainjob``, and as ``kubectl-trainjob``, which kubectl finds."""

from __future__ import annotations

import sys
from pathlib import Path


def name_of(command: str) -> str:
    """What a user typed who started this command."""
    return "kubectl trainjob" if Path(command).stem == "kubectl-trainjob" else "trainjob"


PROGRAM = name_of(sys.argv[0])
"""For usage texts, and for messages that tell what to type next."""
