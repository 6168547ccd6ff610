"""``trainjob zoo``: the configs that a job can name."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from mmaction_operator import zoo as configs
from mmaction_operator.render.recipe import tested

from .terminal import output


def zoo(
    search: Annotated[str, typer.Argument(help="Show only names that contain this.", show_default=False)] = "",
) -> None:
    """List the recognition configs of MMAction2's zoo."""
    table = Table("config", "family", "trainable", "weights", box=None)
    for name in configs.names():
        if search in name:
            entry = configs.load(name)
            table.add_row(name, entry.family, use(entry), "yes" if entry.weights else "")
    output.print(table)


def use(entry: configs.ZooEntry) -> str:
    """What its config is made for."""
    if entry.trainable:
        return "yes"
    return "test only" if tested(entry) else "no"
