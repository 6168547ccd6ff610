"""Whether what is on record still holds: the ratios of loaders, measured again in a few minutes.

    python -m bench.check

A ratio of two sides that take turns depends less on the machine than a time does, and still depends on it: one that is
smaller than its record by more than ``TOLERANCE`` is told, and ends this with exit code 1.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping

from . import loading

TOLERANCE = 0.2
"""Share of a recorded ratio."""
ROUNDS = 3


def fallen(recorded: Mapping[str, float], found: Mapping[str, float]) -> list[str]:
    """What is slower than its record, or was not measured, in words."""
    least = {name: ratio * (1 - TOLERANCE) for name, ratio in recorded.items()}
    missing = [f"{name}: on record, and not measured" for name in recorded if name not in found]
    slower = [
        f"{name}: {ratio:.2f}, and {recorded[name]:.2f} on record: less than {least[name]:.2f}"
        for name, ratio in found.items()
        if name in recorded and ratio < least[name]
    ]
    return missing + slower


def main() -> int:
    """Measure again and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    recorded = loading.ratios(json.loads(loading.RESULTS.read_text()))
    problems = fallen(recorded, loading.ratios(loading.record(ROUNDS, os.cpu_count() or 1)))
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"all {len(recorded)} ratios are at least {1 - TOLERANCE:.0%} of those on record")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
