"""``trainjob render`` and ``trainjob validate``: what would run, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from mmaction_operator import api
from mmaction_operator.render import Rendered
from mmaction_operator.render import render as render_job

from .terminal import errors, print_listed

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
    print_listed(f"{job.metadata.name}: valid", [*would_run(rendered, job.spec.resources.world_size)])


def would_run(rendered: Rendered, ranks: int) -> Iterator[tuple[str, str]]:
    """What a job would run, in words."""
    yield "config sha256", rendered.sha256
    yield "ranks", f"{ranks} x batch {rendered.batch_size // ranks}"
    if rendered.epochs:
        yield "epochs", str(rendered.epochs)
        yield "learning rate", f"{rendered.effective_lr:g}"
        yield "val protocol", f"{rendered.val_protocol} views (clips x crops)"
    else:
        yield "trains", "nothing: the weights are tested as they are"
    yield "test protocol", f"{rendered.test_protocol} views (clips x crops)"
    yield "weights", rendered.weights.uri if rendered.weights else "none"
