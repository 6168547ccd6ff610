"""``trainjob results``: what jobs left in storage, fetched and verified."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from mmaction_operator.api.status import TrainJobStatus
from mmaction_trainer import storage
from mmaction_trainer.contract.errors import StorageFailure
from mmaction_trainer.contract.result import Result, Score
from mmaction_trainer.storage import (
    MANIFEST,
    JobResults,
    ObjectMissing,
    OnBytes,
    Storage,
    open_storage,
    read_manifest,
)

from .connecting import ClusterFailure, Context, Kubeconfig, Namespace, connect
from .program import PROGRAM
from .summary import Job, condition, status_in
from .terminal import errors, output

app = typer.Typer(help="What jobs left in storage: list it, fetch it, verify it.", no_args_is_help=True)

Root = Annotated[
    str, typer.Argument(help="storage.uri of the jobs: s3://bucket/prefix or a folder.", show_default=False)
]
What = Annotated[
    str,
    typer.Argument(
        help="A TrainJob's name on the cluster; or results by their URI or folder, as `results list` and `run` print "
        "them: with a slash, as no name has one.",
        show_default=False,
    ),
]


OWN_KEYS = (
    "Results are read with this machine's AWS settings (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or "
    "AWS_PROFILE), not with the Secret of the job."
)


@app.command("list")
def list_(uri: Root) -> None:
    """List the jobs that left results below a URI, with their scores."""
    table = Table("job", "uid", "val top-1", "test top-1", "port", "objects", "state", box=None)
    for job in sorted(storage.results(open_storage(uri)), key=lambda job: job.prefix):
        table.add_row(*row(job))
    if table.row_count:
        output.print(table)
    else:
        errors.print(f"no results below {uri}", markup=False)


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
def get(
    what: What,
    folder: Annotated[
        Path | None,
        typer.Argument(help="Where to put them. Default for a name: the folder ./NAME.", show_default=False),
    ] = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Download a job's results and verify each against the manifest."""
    if folder is None and not is_name(what):
        raise typer.BadParameter("is needed for results that are given by their URI", param_hint="FOLDER")
    folder = folder or Path(what)
    place = place_of(what, namespace, context, kubeconfig)
    with transfer("fetching", place) as on_bytes:
        manifest = storage.fetch(place, folder, on_bytes)
    output.print(f"{len(manifest.objects)} objects in {folder}, each as the manifest says", markup=False)


@app.command("verify")
def verify(what: What, namespace: Namespace = None, context: Context = None, kubeconfig: Kubeconfig = None) -> None:
    """Read a job's results back and compare each with the manifest."""
    place = place_of(what, namespace, context, kubeconfig)
    with transfer("verifying", place) as on_bytes:
        problems = storage.verify(place, on_bytes)
    for problem in problems:
        errors.print(str(problem), style="red", markup=False, soft_wrap=True)
    if problems:
        raise StorageFailure(
            place.uri, f"{len(problems)} objects differ from the manifest", do="Publish the results again."
        )
    output.print(f"every object is as the manifest says: {place.uri}", markup=False, soft_wrap=True)


def is_name(what: str) -> bool:
    """Whether this names a job on a cluster, and not results where they lie."""
    return "/" not in what and not what.startswith(".")


def place_of(what: str, namespace: str | None, context: str | None, kubeconfig: Path | None) -> Storage:
    """The results that are meant."""
    if not is_name(what):
        return open_storage(what)
    try:
        job = connect(namespace, context, kubeconfig).job(what)
    except ClusterFailure as failure:
        if not Path(what).is_dir():
            raise
        do = f"Is the folder meant that is here? Write ./{what}."
        raise ClusterFailure(failure.where, failure.found, do=do) from None
    return left_by(job)


def left_by(job: Job) -> Storage:
    """What a job on a cluster left, once its manifest is the one that its status vouches for.

    Raises:
        ClusterFailure: it left none, or not yet.
        StorageFailure: they cannot be read, or the manifest is another one.
    """
    name, status = job["metadata"]["name"], status_in(job)
    if status.results is None:
        raise without_results(name, status)
    place = open_storage(status.results.uri)
    try:
        found = hashlib.sha256(place.read(MANIFEST)).hexdigest()
    except ObjectMissing:
        raise
    except StorageFailure as failure:
        raise StorageFailure(failure.where, failure.found, do=OWN_KEYS) from failure
    expected = status.results.manifest_sha256
    if expected is None:
        errors.print(f"warning: the status of {name} has no sha256 of the manifest to compare with", style="yellow")
    elif found != expected:
        raise StorageFailure(
            f"{place.uri}/{MANIFEST}",
            f"sha256 {found}",
            accepted=f"{expected}, which status.results.manifestSHA256 of {name} says",
            do="Somebody has changed the results since the job left them; nothing was downloaded.",
        )
    return place


def without_results(name: str, status: TrainJobStatus) -> ClusterFailure:
    """Why a job has no results."""
    where = f"TrainJob {name}"
    if failed := condition(status, "Failed"):
        return ClusterFailure(where, f"it failed ({failed.reason}: {failed.message}), and so left no results")
    do = f"`{PROGRAM} status {name} --watch` waits for its end."
    return ClusterFailure(where, f"no results yet, as its phase is {status.phase or 'none'}", do=do)


@contextmanager
def transfer(what: str, place: Storage) -> Iterator[OnBytes]:
    """A bar of the bytes that go over."""
    total = sum(entry.size for entry in read_manifest(place).objects)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=errors, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.advance(task, count)
