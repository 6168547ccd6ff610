"""What benchmarks have in common: what they read of processes and of the machine, and how they keep what they find."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")
RECORDS = Path(__file__).parent / "results"
"""Where a record lies, by the name of its benchmark."""


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


def compared(stock: Sequence[float], ours: Sequence[float]) -> dict[str, float]:
    """How many times as fast ours are: of seconds that both sides took, round by round, median and spread."""
    ratios = sorted(theirs / own for theirs, own in zip(stock, ours, strict=True))
    values = {"oursToStock": statistics.median(ratios), "lowest": ratios[0], "highest": ratios[-1]}
    return {name: round(value, 2) for name, value in values.items()}


def arguments(about: str | None) -> argparse.ArgumentParser:
    """The command line of a benchmark, as far as all have it in common."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="write what is found to bench/results")
    return parser


def recorded(measure: Callable[[], dict[str, Any]], packages: Iterable[str] = ()) -> dict[str, Any]:
    """Measure, and say when, on which machine, how loaded it was before, and with which versions of packages."""
    about = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "versions": {name: version(name) for name in packages},
        "loadBefore": os.getloadavg()[0],
    }
    return {**about, **measure()}


def tell(record: dict[str, Any], path: Path, *, keep: bool) -> None:
    """Print a record, and write it down where it is to be kept."""
    text = json.dumps(record, indent=2)
    print(text)
    if keep:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n")
