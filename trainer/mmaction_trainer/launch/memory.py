"""How many processes the kernel has killed for memory: of this cgroup, which in a pod is the container's own.

The machine has a count too. It also grows when another pod on it runs out of memory, and a rank that somebody killed
meanwhile would be taken for one that needs more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

KILLS = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


def oom_kills(root: Path = Path("/")) -> int | None:
    """Processes killed as memory ran out; None where the kernel does not say."""
    for counter in (*counters_of_this_cgroup(root), root / "proc/vmstat"):
        try:
            found = KILLS.search(counter.read_text())
        except OSError:
            continue
        if found:
            return int(found[1])
    return None


def counters_of_this_cgroup(root: Path) -> Iterator[Path]:
    """Files that may have the count, by version 1 and 2; a container sees its own cgroup as the root of all."""
    mounted = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            yield mounted / "memory" / path.lstrip("/") / "memory.oom_control"
            yield mounted / "memory/memory.oom_control"
        elif not controllers:
            yield mounted / path.lstrip("/") / "memory.events"
            yield mounted / "memory.events"
