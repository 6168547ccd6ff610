"""A leaderboard's cells as people read them."""

from __future__ import annotations

from .ranking import COLUMNS

ACCURACIES = frozenset(name for name in COLUMNS if name.startswith(("val top-", "test top-", "test mean")))
"""Columns of fractions; the more, the better."""


def shown(name: str, value: object) -> str:
    """A cell: accuracies as percent, as papers have them; sizes in M and G; empty where a run does not say."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{100 * value:.2f}" if name in ACCURACIES else f"{value:.2f}"
    if isinstance(value, int) and name == "params":
        return f"{value / 1e6:.2f}M"
    if isinstance(value, int) and name == "FLOPs per view":
        return f"{value / 1e9:.2f}G"
    return str(value)
