"""Disturbances of the way to storage, for every trainer at once."""

from __future__ import annotations

from functools import partial

from .drawing import Round
from .stage import Disturbance, Stage


def refuse(at: Stage, round_: Round) -> str:
    """End every connection, and refuse new ones."""
    at.scene.storage.cut()
    at.rest(round_.lasts)
    at.scene.storage.mend()
    return f"for {round_.lasts} s"


def worsen(toxic: str, attribute: str, value: int, at: Stage, round_: Round) -> str:
    """Make the way bad for what comes from storage, or for what goes there."""
    if round_.pick < 0.5:
        at.scene.storage.add(toxic, towards="client", **{attribute: value})
    else:
        at.scene.storage.add(toxic, towards="server", **{attribute: value})
    at.rest(round_.lasts)
    at.scene.storage.mend()
    return f"{'what comes' if round_.pick < 0.5 else 'what goes there'}, for {round_.lasts} s"


DISTURBANCES: dict[str, Disturbance] = {
    "storage refuses": refuse,
    "storage slow": partial(worsen, "bandwidth", "rate", 500),
    "storage cut off": partial(worsen, "limit_data", "bytes", 20_000),
    "storage silent": partial(worsen, "timeout", "timeout", 0),
}
