"""The leaderboard as one HTML page that needs nothing but itself; ``leaderboard.html`` is how it looks."""

from __future__ import annotations

import re

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from .cells import ACCURACIES, shown
from .ranking import COLUMNS, Board, rows

FIRST = (
    *("rank", "job", "test top-1", "test top-5", "test mean class", "test protocol"),
    *("val top-1", "val top-5", "val protocol", "epoch"),
)
"""Columns that a narrow window shows: what decides, then what chose the checkpoint. The others follow."""
UNDER_THE_JOB = "uid"


def page(board: Board) -> str:
    """The page: a table for each ranking, and below them the runs that are in none."""
    environment = Environment(
        loader=PackageLoader(__package__, "."),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"breakable": breakable, "words": words}
    return environment.get_template("leaderboard.html").render(
        tables=[(ranking, list(rows(ranking))) for ranking in board.rankings],
        apart=board.apart,
        columns=(*FIRST, *(name for name in COLUMNS if name not in (*FIRST, UNDER_THE_JOB))),
        accuracies=ACCURACIES,
        shown=shown,
    )


def breakable(name: str) -> Markup:
    """A name that may go on in the next line after an underscore or a slash, as text may after a hyphen."""
    return Markup("<wbr>").join(re.split("(?<=[_/])", name))


def words(heading: str) -> Markup:
    """A heading that is broken between its words alone: not in top-1."""
    return Markup(" ").join(Markup("<span>{}</span>").format(word) for word in heading.split())
