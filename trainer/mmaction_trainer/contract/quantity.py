"""Amounts of bytes as Kubernetes writes them."""

from __future__ import annotations

import re
from fractions import Fraction

UNITS = {
    **{unit: 1000**power for power, unit in enumerate(("", "k", "M", "G", "T"))},
    **{unit: 1024**power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti"), 1)},
}


def in_bytes(text: str) -> int:
    """The bytes of an amount such as 200Gi, 1.5T or 1000000.

    Raises:
        ValueError: it is no such amount.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([A-Za-z]*)", text)
    if found is None or found[2] not in UNITS:
        raise ValueError(text)
    return int(Fraction(found[1]) * UNITS[found[2]])
