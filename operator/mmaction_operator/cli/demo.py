"""``trainjob demo``: what a trained model takes a video for, and the video with that drawn on it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table
from rich.text import Text

from mmaction_trainer.contract.demo import Demo
from mmaction_trainer.contract.errors import FAILURES, ConfigFailure, Failure
from mmaction_trainer.contract.result import FailureReport

from .connecting import Context, Kubeconfig, Namespace
from .results import What, place_of
from .terminal import errors, output, print_failure

TRAINER = ("torch", "mmaction", "decord", "av")
"""Of the packages that score and draw, those that tell whether they are installed."""
LAST_LINES = 20
"""Of the log, which are shown of a failure that nobody foresaw."""


def demo(
    results: What,
    video: Annotated[str, typer.Argument(help="A video file, or its URI (s3://...).", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option(help="The annotated video, MP4. Default: VIDEO's name with -demo.mp4, here.", show_default=False),
    ] = None,
    form: Annotated[
        Literal["table", "json"], typer.Option("--output", "-o", help="How the labels are written.")
    ] = "table",
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Score a video with the tested checkpoint of a run, by its own test protocol, and draw the labels on it.

    It runs on this machine: on a GPU where there is one (CUDA_VISIBLE_DEVICES= has it on the CPU).
    """
    refuse_without_trainer()
    out = out or Path(f"{Path(video).stem}-demo.mp4")
    refuse_to_write(out, video)
    found = scored(place_of(results, namespace, context, kubeconfig).uri, video, out)
    if form == "json":
        typer.echo(found.model_dump_json(by_alias=True, exclude_none=True, indent=2))
        return
    table = Table("label", "score", box=None)
    for label in found.labels:
        table.add_row(Text(label.name), f"{label.score:.4f}")
    output.print(f"{found.video}, {found.protocol} views:", markup=False, soft_wrap=True)
    output.print(table)
    output.print(f"by {found.checkpoint} of {found.job}, on {found.device}", markup=False, soft_wrap=True)
    output.print(f"annotated: {found.annotated}", markup=False, soft_wrap=True)


def refuse_without_trainer() -> None:
    """See that this Python can score and draw.

    Raises:
        ConfigFailure: it has not got the trainer's packages.
    """
    if missing := [name for name in TRAINER if find_spec(name) is None]:
        raise ConfigFailure(
            sys.executable,
            f"has not got {', '.join(missing)}",
            do="Install mmaction-operator[trainer], or `make setup`.",
        )


def refuse_to_write(out: Path, video: str) -> None:
    """See that the annotated video can be written where it is to go, and that this is not the video itself.

    Raises:
        BadParameter: it cannot.
    """
    if out.is_dir() or not out.parent.is_dir() or not os.access(out.parent, os.W_OK):
        raise typer.BadParameter(f"{out} cannot be written: its folder has to be there", param_hint="--out")
    if out.exists() and Path(video).exists() and out.samefile(video):
        raise typer.BadParameter(f"{out} is the video itself", param_hint="--out")


def scored(results: str, video: str, out: Path) -> Demo:
    """Have the trainer do it, in a process of its own, as the command line never imports torch.

    Raises:
        Exit: the trainer says why it cannot; so does standard error then.
        Failure: it ended without a word.
    """
    command = [sys.executable, "-m", "mmaction_trainer.demo", results, video, str(out)]
    line = ""
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        with errors.status("starting") as status:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
            assert process.stdout
            for line in process.stdout:
                status.update(Text(line.strip()))
            code = process.wait()
        if code == 0:
            return Demo.model_validate_json(line)
        if code not in {kind.exit_code for kind in FAILURES}:
            log.seek(0)
            errors.print("".join(log.readlines()[-LAST_LINES:]), markup=False, soft_wrap=True)
    if not line.startswith("{"):
        raise Failure(" ".join(command[1:3]), f"ended with code {code}", do="If it was killed (-9), memory ran out.")
    report = FailureReport.model_validate_json(line)
    print_failure(report)
    raise typer.Exit(code)
