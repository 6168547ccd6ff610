"""What happens in each round, and which jobs there are: drawn from the seed before anything runs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

T = TypeVar("T")

KINDS = {
    "rank killed": 2,
    "rank terminated": 1,
    "launcher killed": 1,
    "launcher killed while it sends": 1,
    "pod deleted": 1,
    "pod evicted": 1,
    "node lost": 1,
    "memory ran out": 1,
    "leading controller killed": 1,
    "standing-by controller killed": 1,
    "API server killed": 1,
    "job suspended": 2,
    "job deleted": 1,
    "port taken": 1,
    "storage refuses": 1,
    "storage slow": 1,
    "storage cut off": 1,
    "storage silent": 1,
}
"""What is done in a round, and how often in each twenty of them."""
LONGEST_PAUSE = 6.0
LASTS = (1.0, 8.0)
"""Seconds: before a round's disturbance, and that one which has an end lasts."""


@dataclass(frozen=True)
class Round:
    """One disturbance.

    Attributes:
        number: from 1.
        pause: seconds to wait before it.
        lasts: seconds until what was disturbed is as before, where it can be.
        pick: which of those there are it meets, from 0 to 1.
    """

    number: int
    kind: str
    pause: float
    lasts: float
    pick: float

    def of(self, found: list[T]) -> T:
        """The one of these that this round meets."""
        return found[int(self.pick * len(found))]


def rounds(seed: int) -> Iterator[Round]:
    """Rounds without an end; in each twenty every kind has its share."""
    chance, left = random.Random(f"{seed} rounds"), list[str]()
    for number in count(1):
        if not left:
            left = [kind for kind, share in KINDS.items() for _ in range(share)]
            chance.shuffle(left)
        pause, lasts = chance.uniform(0, LONGEST_PAUSE), chance.uniform(*LASTS)
        yield Round(number, left.pop(), round(pause, 1), round(lasts, 1), chance.random())


@dataclass(frozen=True)
class Drawn:
    """A TrainJob that is to be: its name, and what is its own in the spec."""

    name: str
    epochs: int
    nodes: int
    spec: dict[str, Any]


def jobs(seed: int) -> Iterator[Drawn]:
    """Jobs without an end: small ones, of one or two processes, on one node or two, on a node's own network or not."""
    chance = random.Random(f"{seed} jobs")
    for number in count(1):
        nodes, processes = chance.choice([(1, 1), (1, 2), (1, 2), (2, 1)])
        epochs = chance.randint(4, 9)
        training = {"epochs": epochs, "batchSizePerGPU": 3, "lr": 0.01, "workers": 0, "seed": number}
        training |= {"checkpointIterations": chance.choice([2, 3, 5]), "keepCheckpoints": chance.choice([1, 2])}
        spec = {
            "training": training,
            "resources": {"nodes": nodes, "gpusPerNode": 0, "processesPerNode": processes},
            "pods": {"hostNetwork": chance.random() < 0.5},
        }
        yield Drawn(f"job-{number:03}", epochs, nodes, spec)
