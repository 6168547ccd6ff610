"""TrainJobs by lot: the same number is the same job, on every machine.

``lot`` draws jobs that are right from the CRD's schema and the models' rules, ``spoiling`` makes one or two of their
fields odd, ``hostile`` has texts that do harm where something evaluates them. A field that is new in the schema is
drawn, and spoilt, without a line here.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from mmaction_operator.api.trainjob import API_VERSION, KIND, TrainJob

from .lot import Lot, model_of, schema
from .spoiling import spoil, written

SEED = 1


@dataclass(frozen=True)
class Drawn:
    """A job.

    Attributes:
        number: its own, in the series of ``SEED``.
        text: the manifest in JSON, or in what is nearly JSON.
        spoilt: what was done to it: a field, ``*`` for an item or a key of a map, and what stands there now.
    """

    number: int
    text: str
    spoilt: tuple[tuple[str, str], ...]

    @property
    def spelled(self) -> bool:
        """Whether its text matters, not only what it says: a key twice, a number in other words."""
        return any(what == "twice" or what.startswith("the token") for _, what in self.spoilt)

    def __str__(self) -> str:
        done = "; ".join(f"{where} is {what}" for where, what in self.spoilt) or "as it was drawn"
        return f"seed {SEED}, number {self.number}: {done}"


def draw(number: int) -> Drawn:
    """One job of the series: every other is as it was drawn, of the rest one or two fields are spoilt."""
    chance = random.Random(f"{SEED}/{number}")
    lot = Lot(chance, density=chance.choice((0.05, 0.2, 0.5, 0.9)))
    manifest: dict[str, Any] = {"apiVersion": API_VERSION, "kind": KIND}
    for part, node in schema()["properties"].items():
        manifest[part] = lot.value(node, (part,), model_of(TrainJob, part))
    spoilt = [spoil(manifest, lot) for _ in range(chance.choice((0, 0, 1, 1, 1, 2)))]
    return Drawn(number, written(manifest), tuple(filter(None, spoilt)))
