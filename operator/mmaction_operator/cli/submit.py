"""``trainjob submit``: a job file to a cluster."""

from __future__ import annotations

from typing import Annotated

import typer

from mmaction_operator import api
from mmaction_operator.api.manifest import load_documents
from mmaction_operator.plan import is_over, refuse_paths
from mmaction_operator.render import render
from mmaction_trainer.contract.errors import ConfigFailure

from . import status
from .connecting import Context, Kubeconfig, Namespace, connect
from .jobs import JobFile
from .summary import Job, status_in
from .terminal import errors, output


def submit(
    file: JobFile,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Have the API server say what it would do, and change nothing.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Then follow the job, as status --watch does.")] = False,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Check a job file as validate does, and hand it to a cluster that runs the operator."""
    if dry_run and watch:
        raise typer.BadParameter("there is no job to watch after a dry run", param_hint="--watch")
    job = api.read(file)
    for warning in render(job).warnings:
        errors.print(f"warning: {warning}", style="yellow", markup=False)
    refuse_paths(job)
    (manifest,) = load_documents(file.read_text(encoding="utf-8"))
    cluster = connect(namespace_of(manifest, namespace), context, kubeconfig)
    manifest["metadata"]["namespace"] = cluster.namespace
    name = job.metadata.name
    before = cluster.find(name)
    after = cluster.apply(manifest, dry_run=dry_run)
    how = " (server dry run)" if dry_run else ""
    output.print(f"trainjob.{api.GROUP}/{name} {outcome(before, after)}{how}", markup=False)
    if before and (phase := over_as(after)):
        errors.print(f"{name} is over ({phase}); to train it anew, submit it under another name", markup=False)
    if watch:
        status.follow(cluster, name)


def namespace_of(manifest: Job, option: str | None) -> str | None:
    """The namespace that a manifest or an option names; None where neither does.

    Raises:
        ConfigFailure: they name different ones.
    """
    named: str | None = manifest["metadata"].get("namespace")
    if named and option and named != option:
        raise ConfigFailure(
            "metadata.namespace", named, accepted=f"{option}, as --namespace says", do="Change one of the two."
        )
    return named or option


def outcome(before: Job | None, after: Job) -> str:
    """What became of a job that was applied: created, configured or unchanged."""
    if before is None or before["metadata"]["uid"] != after["metadata"]["uid"]:
        return "created"
    return "unchanged" if content(before) == content(after) else "configured"


def over_as(job: Job) -> str:
    """The phase of a job that is over; empty while it is not."""
    seen = status_in(job)
    return str(seen.phase) if is_over(seen) else ""


def content(job: Job) -> Job:
    """What a user says of a job, without what the API server keeps beside it."""
    metadata = {name: job["metadata"].get(name) for name in ("labels", "annotations", "finalizers", "ownerReferences")}
    return {"metadata": metadata, "spec": job["spec"]}
