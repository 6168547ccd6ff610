"""Names and paths as Markdown text: what a data set calls its classes is never taken for markup."""

from __future__ import annotations

import re

MARKUP = re.compile(r"[\\`*\[\]<>|~&]|(?<!\w)_|_(?!\w)")
"""What Markdown may read as markup inside a line; an underscore within a word is none."""


def text(value: object) -> str:
    """Text that stands in a line or in a table's cell, white space as single spaces."""
    return MARKUP.sub(r"\\\g<0>", " ".join(str(value).split()))


def code(value: object) -> str:
    """Text as code, in a line or in a table's cell: its fence is longer than any run of backticks inside."""
    plain = " ".join(str(value).split()).replace("|", "\\|")
    fence = "`" * (1 + max(map(len, re.findall("`+", plain)), default=0))
    pad = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{fence}{pad}{plain}{pad}{fence}"
