"""What benchmarks read of processes and of the machine."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_milliseconds(pids: Iterable[int]) -> Counter[str]:
    """CPU time that processes have used, user and system together, by the name of the program."""
    found: Counter[str] = Counter()
    for pid in pids:
        name, _, rest = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")
        fields = rest.split()
        found[name] += (int(fields[11]) + int(fields[12])) * 1000 // TICKS
    return found


def peak_memory(pid: int) -> int:
    """The most memory that a process has had, in bytes (``VmHWM``)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"/proc/{pid}/status has no VmHWM")


def machine() -> dict[str, str | int]:
    """What a figure depends on beside the code."""
    models = {
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    }
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": os.cpu_count() or 0,
        "processor": ", ".join(sorted(models)) or platform.machine(),
        "memoryGiB": round(pages / 2**30),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """P50, P90 and P99: the smallest value that so many percent of all do not exceed."""
    ordered = sorted(values)
    return {f"p{share}": round(ordered[-(-len(ordered) * share // 100) - 1], 2) for share in (50, 90, 99)}
