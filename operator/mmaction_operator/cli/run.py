"""``trainjob run``: the job file on this machine."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Annotated

import typer

from mmaction_operator import api, local
from mmaction_operator.local.paths import resolve
from mmaction_operator.local.resuming import unfinished
from mmaction_operator.local.run import Settings
from mmaction_operator.plan.failures import RETRY
from mmaction_operator.ports import PortRange
from mmaction_operator.render import render
from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.result import Result, Score
from mmaction_trainer.contract.run import JobIdentity
from mmaction_trainer.contract.skipping import SKIPPED

from .jobs import JobFile
from .preflight import report_of, table, tell
from .terminal import errors, output, print_failure, watching


def run(
    file: JobFile,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for GPUs that other runs hold; else refuse.")] = False,
    ports: Annotated[
        str, typer.Option(envvar="TRAINJOB_PORTS", help="Ports that runs of this machine may lease.")
    ] = "20000-29399",
    grace: Annotated[float, typer.Option(min=0, help="Seconds that ranks have to stop after Ctrl-C.")] = 60.0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with this job's newest run that has no results.")
    ] = False,
) -> None:
    """Train or test on this machine: check all, lease a port and GPUs, run torchrun, leave the results in storage."""
    job = resolve(api.read(file), file.resolve().parent)
    rendered = render(job)
    for warning in () if job.spec.preflight else rendered.warnings:
        errors.print(f"warning: {warning}", style="yellow", markup=False)
    settings = Settings.of_machine(os.environ, ports=PortRange.parse(ports), wait=wait, grace=grace)
    identity = unfinished(job, settings.state, settings.leases) if resume else new(job)
    with watching(job.metadata.name, output) as watcher:
        ended = local.run.run(job, rendered, identity, settings, watcher)
    if report := report_of(ended):
        output.print(table(report))
        tell(ended, report)
    _tell(ended.result, ended.folder, file)


def new(job: api.TrainJob) -> JobIdentity:
    """A run that there was never before."""
    return JobIdentity(namespace=job.metadata.namespace, name=job.metadata.name, uid=str(uuid.uuid4()))


def _tell(result: Result, folder: Path, file: Path) -> None:
    """Say how the run ended; a failure exits with its own code."""
    if result.error is None:
        for name, score in (("val", result.val), ("test", result.test)):
            if score:
                output.print(_line(name, score))
        if result.data and result.data.skipped:
            output.print(f"corrupt videos that the training went on without: {result.data.skipped}, see {SKIPPED}")
        output.print(f"results: {result.results_uri}", markup=False, soft_wrap=True)
        return
    print_failure(result.error)
    saved = (folder / layout.SAVED).exists()
    errors.print(f"logs{' and checkpoints' if saved else ''}: {folder}", markup=False, soft_wrap=True)
    if saved:
        first = "once that is mended, " if RETRY.get(result.error.failure) == "never" else ""
        again = f"{first}go on from its last checkpoint: trainjob run {file} --resume"
        errors.print(again, markup=False, soft_wrap=True)
    raise typer.Exit(result.error.exit_code)


def _line(name: str, score: Score) -> str:
    epoch = f", epoch {score.epoch}" if score.epoch else ""
    return f"{name:4} top-1 {score.top1:.4f}  top-5 {score.top5:.4f}  ({score.protocol} views{epoch})"
