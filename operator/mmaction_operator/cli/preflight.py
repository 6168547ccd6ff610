"""``trainjob preflight``: everything that can be found wrong before a GPU is asked for, on this machine."""

from __future__ import annotations

import os
import shutil
import uuid
from typing import Annotated, Literal

import typer
from rich.table import Table
from rich.text import Text

from mmaction_operator import api, local
from mmaction_operator.api import TrainJob
from mmaction_operator.local.paths import resolve
from mmaction_operator.local.run import Ended, Settings
from mmaction_operator.render import render
from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.preflight import Preflight

from .jobs import JobFile
from .terminal import errors, output, print_failure, watching

STYLES = {"passed": "green", "warned": "yellow", "failed": "red", "skipped": "dim"}


def preflight(
    file: JobFile,
    full: Annotated[bool, typer.Option("--full", help="Decode every video, as with spec.dataset.decode: all.")] = False,
    form: Annotated[
        Literal["table", "json"], typer.Option("--output", "-o", help="How the report is written.")
    ] = "table",
) -> None:
    """Check data, storage, weights and model, and train nothing. Exits with the code of the worst that was found."""
    job = resolve(api.read(file), file.resolve().parent)
    if full:
        job = with_all_decoded(job)
    with watching(job.metadata.name, errors) as watcher:
        ended = local.run.preflight(job, render(job), str(uuid.uuid4()), Settings.of_machine(os.environ), watcher)
    report = report_of(ended)
    if report and form == "json":
        typer.echo(report.to_json(), nl=False)
    elif report:
        output.print(table(report))
    tell(ended, report)
    shutil.rmtree(ended.folder.parent)


def with_all_decoded(job: TrainJob) -> TrainJob:
    """The job with every video decoded by its preflight."""
    dataset = job.spec.dataset.model_copy(update={"decode": "all"})
    return job.model_copy(update={"spec": job.spec.model_copy(update={"dataset": dataset})})


def report_of(ended: Ended) -> Preflight | None:
    """The report of a preflight; None of anything else, and of one that did not come to its end."""
    path = ended.folder / layout.PREFLIGHT
    return Preflight.read(path) if path.exists() else None


def table(report: Preflight) -> Table:
    """Each check, what became of it, and what it saw."""
    drawn = Table("check", "", "", box=None)
    for check in report.checks:
        drawn.add_row(check.name, Text(check.outcome, STYLES[check.outcome]), Text(check.said))
    return drawn


def tell(ended: Ended, report: Preflight | None) -> None:
    """Say what has to be mended, and apart from it what only has to be known; a failure exits with its own code."""
    for warning in report.warnings if report else ():
        errors.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)
    if ended.result.error is None:
        return
    for error in report.errors if report and report.errors else (ended.result.error,):
        print_failure(error)
    errors.print(f"logs: {ended.folder / layout.LOGS}", markup=False, soft_wrap=True)
    raise typer.Exit(ended.result.error.exit_code)
