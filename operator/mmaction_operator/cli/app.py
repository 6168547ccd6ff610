"""The command line as a whole: the commands, the version, and how a failure is told."""

from __future__ import annotations

import importlib.metadata
import sys
from typing import Annotated

import typer

from mmaction_trainer.contract.errors import FAILURES, Failure

from . import demo, jobs, leaderboard, logs, preflight, results, run, status, submit, zoo
from .program import PROGRAM
from .terminal import errors

app = typer.Typer(
    name="trainjob",
    help="Train video action-recognition models with MMAction2: one TrainJob file, on this machine or on a cluster.",
    epilog="Exit codes: 0 succeeded, 2 wrong command line, "
    + ", ".join(f"{kind.exit_code} {kind.name}" for kind in FAILURES)
    + ", 1 anything else.",
    no_args_is_help=True,
    add_completion=PROGRAM == "trainjob",  # kubectl asks its plugins for completions in a way of its own
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("run")(run.run)
app.command("preflight")(preflight.preflight)
app.command("render")(jobs.render)
app.command("validate")(jobs.validate)
app.command("zoo")(zoo.zoo)
app.command("submit")(submit.submit)
app.command("status")(status.status)
app.command("logs")(logs.logs)
app.command("demo")(demo.demo)
app.command("leaderboard")(leaderboard.leaderboard)
app.add_typer(results.app, name="results")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"trainjob {importlib.metadata.version('mmaction-operator')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Train video action-recognition models with MMAction2."""


def main() -> None:
    """Run the command line; a failure is told on standard error and exits with its own code."""
    try:
        app(prog_name=PROGRAM)
    except Failure as failure:
        errors.print(f"{failure.name}: {failure}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(failure.exit_code)
