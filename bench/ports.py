"""How long a port takes to lease, with many leases that live.

    python -m bench.ports [--record]

Jobs come and go in a cluster where so many attempts hold a port: one gives back its port, and another leases one. A
lease names no node, so that how many there are makes no difference. The same is measured of the simplest thing that
could work: ports drawn at random until one is free.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from typing import Any

from mmaction_operator.ports import ClusterLease, PortRange, PortRegistry

from .measured import RECORDS, arguments, percentiles, recorded, tell

LIVE = (0, 1_000, 5_000, 9_000, 10_000)
"""Leases that live. There are 9,400 ports: beyond that, some are held by two jobs."""


class Drawn:
    """Ports drawn at random until one is free; of those that are taken the last one drawn, after so many tries."""

    TRIES = 1_000

    def __init__(self, ports: PortRange) -> None:
        self.ports, self.held, self.of_job = list(ports.from_offset(0)), set[int](), dict[str, int]()

    def lease(self, lease: ClusterLease) -> int:
        """A port for a job."""
        for _ in range(self.TRIES):
            port = random.choice(self.ports)
            if port not in self.held:
                break
        self.held.add(port)
        self.of_job[lease.job] = port
        return port

    def release(self, job: str) -> None:
        """Give back what a job holds."""
        self.held.discard(self.of_job.pop(job))


def a_lease(number: int) -> ClusterLease:
    """The first attempt of a job."""
    return ClusterLease(job=f"00000000-0000-0000-0000-{number:012}", attempt=1, name=f"team/job-{number}")


def measure(make: Callable[[PortRange], Any], live: int, rounds: int) -> dict[str, Any]:
    """Microseconds that a lease takes, and how many jobs that live share their port with another."""
    registry = make(PortRange())
    held = [a_lease(number) for number in range(live)]
    ports = {lease.job: registry.lease(lease) for lease in held}
    spent = []
    for number in range(live, live + rounds):
        if held:
            left = held.pop(random.randrange(len(held)))
            registry.release(left.job)
            del ports[left.job]
        lease = a_lease(number)
        began = time.perf_counter()
        ports[lease.job] = registry.lease(lease)
        spent.append(1_000_000 * (time.perf_counter() - began))
        if live:
            held.append(lease)
        else:
            registry.release(lease.job)
            del ports[lease.job]
    return {
        "microseconds": {"mean": round(statistics.mean(spent), 1), **percentiles(spent)},
        "leasesPerSecond": round(1_000_000 * rounds / sum(spent)),
        "shared": len(ports) - len(set(ports.values())),
    }


def record(rounds: int) -> dict[str, Any]:
    """Measure with every number of leases."""
    random.seed(0)
    ways: dict[str, Callable[[PortRange], Any]] = {"ours": PortRegistry, "drawn": Drawn}
    found = {str(live): {name: measure(make, live, rounds) for name, make in ways.items()} for live in LIVE}
    return {"rounds": rounds, "live": found}


def main() -> None:
    """Measure; print the figures, and with ``--record`` write them down."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=2_000, help="leases that are measured (default: 2000)")
    options = parser.parse_args()
    tell(recorded(lambda: record(options.rounds)), RECORDS / "ports.json", keep=options.record)


if __name__ == "__main__":
    main()
