"""``trainjob render`` and ``trainjob validate``: what would run, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmaction_operator import api
from mmaction_operator.render import render as render_job

from .terminal import errors, output

JobFile = Annotated[Path, typer.Argument(help="A TrainJob manifest, YAML or JSON.", dir_okay=False, show_default=False)]


def render(file: JobFile) -> None:
    """Print the MMAction2 config that would run, byte for byte."""
    typer.echo(render_job(api.read(file)).text, nl=False)


def validate(file: JobFile) -> None:
    """Say what is wrong with a job file, where, and what is accepted; or what it would run."""
    job = api.read(file)
    rendered = render_job(job)
    for warning in rendered.warnings:
        errors.print(f"warning: {warning}", style="yellow", markup=False)
    ranks = job.spec.resources.world_size
    output.print(
        f"{job.metadata.name}: valid\n"
        f"  config sha256   {rendered.sha256}\n"
        f"  ranks           {ranks} x batch {rendered.batch_size // ranks}\n"
        f"  epochs          {rendered.epochs}\n"
        f"  learning rate   {rendered.effective_lr:g}\n"
        f"  val protocol    {rendered.val_protocol} views (clips x crops)\n"
        f"  test protocol   {rendered.test_protocol} views (clips x crops)\n"
        f"  weights         {rendered.weights.uri if rendered.weights else 'none'}",
        markup=False,
        soft_wrap=True,
    )
