"""``trainjob results``: what jobs left in storage, fetched and verified."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from mmaction_trainer import storage
from mmaction_trainer.contract.errors import StorageFailure
from mmaction_trainer.contract.result import Result, Score
from mmaction_trainer.storage import JobResults, OnBytes, Storage, open_storage, read_manifest

from .terminal import errors, output

app = typer.Typer(help="What jobs left in storage: list it, fetch it, verify it.", no_args_is_help=True)

Root = Annotated[
    str, typer.Argument(help="storage.uri of the jobs: s3://bucket/prefix or a folder.", show_default=False)
]
Place = Annotated[
    str, typer.Argument(help="A job's results, as `results list` and `run` print them.", show_default=False)
]


@app.command("list")
def list_(uri: Root) -> None:
    """List the jobs that left results below a URI, with their scores."""
    table = Table("job", "uid", "val top-1", "test top-1", "port", "objects", "state", box=None)
    for job in sorted(storage.results(open_storage(uri)), key=lambda job: job.prefix):
        table.add_row(*row(job))
    output.print(table)


def row(job: JobResults) -> tuple[str, ...]:
    """A job's line in the list."""
    namespace, name, uid = job.prefix.split("/")
    if job.manifest is None:
        return f"{namespace}/{name}", uid, "", "", "", "", job.fault
    result = Result.model_validate(job.manifest.summary)
    return (
        f"{namespace}/{name}",
        uid,
        score(result.val),
        score(result.test),
        str(result.port),
        str(len(job.manifest.objects)),
        job.fault or "complete",
    )


def score(measured: Score | None) -> str:
    """Top-1 with the protocol that it was measured by."""
    return f"{measured.top1:.4f} ({measured.protocol})" if measured else ""


@app.command("get")
def get(uri: Place, folder: Annotated[Path, typer.Argument(help="Where to put them.", show_default=False)]) -> None:
    """Download a job's results and verify each against the manifest."""
    place = open_storage(uri)
    with transfer("fetching", place) as on_bytes:
        manifest = storage.fetch(place, folder, on_bytes)
    output.print(f"{len(manifest.objects)} objects in {folder}, each as the manifest says", markup=False)


@app.command("verify")
def verify(uri: Place) -> None:
    """Read a job's results back and compare each with the manifest."""
    place = open_storage(uri)
    with transfer("verifying", place) as on_bytes:
        problems = storage.verify(place, on_bytes)
    for problem in problems:
        errors.print(str(problem), style="red", markup=False, soft_wrap=True)
    if problems:
        raise StorageFailure(uri, f"{len(problems)} objects differ from the manifest", do="Publish the results again.")
    output.print("every object is as the manifest says")


@contextmanager
def transfer(what: str, place: Storage) -> Iterator[OnBytes]:
    """A bar of the bytes that go over."""
    total = sum(entry.size for entry in read_manifest(place).objects)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=errors, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.advance(task, count)
