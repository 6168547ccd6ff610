"""``trainjob leaderboard``: the table of baselines, from what runs left in storage."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Annotated

import typer
from rich.table import Table

from mmaction_operator.api import reference
from mmaction_trainer import storage
from mmaction_trainer.storage import open_storage

from .cells import shown
from .ranking import COLUMNS, Board, board_of, rows
from .terminal import errors, output

Roots = Annotated[
    list[str],
    typer.Argument(help="storage.uri of the jobs: s3://bucket/prefix or a folder; several are ranked together."),
]


class Form(StrEnum):
    """How the table is written."""

    TABLE = "table"
    MARKDOWN = "markdown"
    CSV = "csv"
    JSON = "json"
    HTML = "html"


WITH_WHAT_IS_NOT_RANKED = (Form.JSON, Form.HTML)


def leaderboard(
    uris: Roots,
    form: Annotated[Form, typer.Option("--output", "-o", help="How it is written.")] = Form.TABLE,
) -> None:
    """Rank runs by their test score: those with one data set and one test protocol together, from manifests alone."""
    board = board_of(job for uri in uris for job in storage.results(open_storage(uri)))
    WRITERS[form](board)
    if form not in WITH_WHAT_IS_NOT_RANKED:
        for name, why in board.apart:
            errors.print(f"not ranked: {name}: {why}", markup=False, soft_wrap=True)


NOTE = (
    "Reported by the zoo: top-1 of the recipe's published weights on the data set in brackets, as MMAction2 says; "
    "for orientation, not to compare."
)
IN_A_TITLE = ("resolution", "test protocol")
IN_NO_TERMINAL = ("test mean class", "uid")


def as_table(board: Board) -> None:
    """For a terminal: columns that say something, and not again what the title says."""
    for ranking in board.rankings:
        cells = [{name: shown(name, value) for name, value in row.items()} for row in rows(ranking)]
        left_out = (*IN_A_TITLE, *IN_NO_TERMINAL)
        names = [name for name in COLUMNS if any(row[name] for row in cells) and name not in left_out]
        table = Table(*names, title=ranking.title, title_justify="left", box=None)
        for row in cells:
            table.add_row(*(row[name] for name in names))
        output.print(table)
    if board.rankings:
        output.print(NOTE)


def as_markdown(board: Board) -> None:
    """For a document."""
    for ranking in board.rankings:
        cells = (tuple(shown(name, value) for name, value in row.items()) for row in rows(ranking))
        text = reference.table(COLUMNS, cells)
        output.print(f"{ranking.title}\n\n{text}", markup=False, highlight=False, soft_wrap=True)
    if board.rankings:
        output.print(NOTE, soft_wrap=True)


def as_csv(board: Board) -> None:
    """For a spreadsheet: all groups below each other, with what they have in common in two more columns."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ("data sha256", *COLUMNS), lineterminator="\n")
    writer.writeheader()
    for ranking in board.rankings:
        writer.writerows({"data sha256": ranking.group.data, **row} for row in rows(ranking))
    typer.echo(text.getvalue(), nl=False)


def as_json(board: Board) -> None:
    """For programs."""
    document = {
        "rankings": [
            {
                "dataSHA256": ranking.group.data,
                "protocol": ranking.group.protocol.model_dump(by_alias=True, exclude_none=True),
                "runs": list(rows(ranking)),
            }
            for ranking in board.rankings
        ],
        "notRanked": [{"run": name, "reason": why} for name, why in board.apart],
    }
    typer.echo(json.dumps(document, indent=2))


def as_html(board: Board) -> None:
    """For a browser: sorted by any column, filtered by words."""
    from .leaderboard_page import page  # what no other command needs is not loaded for them

    typer.echo(page(board))


WRITERS: Mapping[Form, Callable[[Board], None]] = {
    Form.TABLE: as_table,
    Form.MARKDOWN: as_markdown,
    Form.CSV: as_csv,
    Form.JSON: as_json,
    Form.HTML: as_html,
}
