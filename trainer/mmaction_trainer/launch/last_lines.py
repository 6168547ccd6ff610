"""The last lines that a rank printed, as a status can hold them: few, short, without what tells nothing or nobody."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from mmaction_trainer.contract.document import as_unicode
from mmaction_trainer.contract.result import LONGEST_LINE, MOST_LINES

NOISE = re.compile(
    r"^[\s~^=\-*.|]*$"  # rules, and what points at a column
    r"|^\s*frame #\d+:|^Exception raised from |^Extension modules: "  # C++ frames; what a crash lists of Python
    r"|Warning: |^\s*warnings\.warn\(|^\[?(rank\d+\]:)?\[?W\d+ "
    r"|^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d - mmengine - INFO - "
    r"|^rank \d+: "  # the failure itself, which is told beside them
)
SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)
SHORTEST_SECRET = 6
"""Characters: what is shorter may be any word."""
USER_OF_A_URL = re.compile(r"(?<=://)[^/\s@]+@")
HIDDEN = "***"


def of_rank(output: str, local_rank: int) -> list[str]:
    """What a rank printed, from what torchrun did: it puts the rank's number on this node before each line."""
    prefix = f"[default{local_rank}]:"
    return [line.removeprefix(prefix) for line in output.splitlines() if line.startswith(prefix)]


def last(lines: Iterable[str], environment: Mapping[str, str]) -> tuple[str, ...]:
    """The last of these lines that tell something.

    Args:
        lines: as they were printed.
        environment: the rank's; what it holds under names such as ``AWS_SECRET_ACCESS_KEY`` is hidden.
    """
    telling = [line.rstrip() for line in lines if not NOISE.search(line)]
    return tuple(shown(line, environment) for line in telling[-MOST_LINES:])


def shown(line: str, environment: Mapping[str, str]) -> str:
    """A line that anybody may read who may read the job."""
    secrets = [text for name, text in environment.items() if SECRET.search(name) and len(text) >= SHORTEST_SECRET]
    for secret in sorted(secrets, key=len, reverse=True):
        line = line.replace(secret, HIDDEN)
    line = USER_OF_A_URL.sub(f"{HIDDEN}@", as_unicode(line))
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…"
