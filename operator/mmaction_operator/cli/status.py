"""``trainjob status``: where a job on a cluster is, now or until it is over."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer
import yaml
from rich.live import Live
from rich.table import Table

from mmaction_operator.plan import is_over
from mmaction_trainer.contract.errors import Failure

from . import summary
from .connecting import Context, JobName, Kubeconfig, Namespace, connect
from .program import PROGRAM
from .summary import Job, Row
from .terminal import errors, listed, output, print_listed

if TYPE_CHECKING:
    from .cluster import Cluster

Format = Literal["json", "yaml"]
INTERRUPTED = 130
"""What a shell calls a command that Ctrl-C ended."""


def status(
    name: JobName,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Follow it until it is over, and exit with its own exit code.")
    ] = False,
    format: Annotated[  # noqa: A002
        Format | None, typer.Option("--output", "-o", help="Print the whole object.", show_default=False)
    ] = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Say where a job on a cluster is, what it waits for, how well it does, and what it left."""
    if watch and format:
        raise typer.BadParameter("not together with --watch", param_hint="--output")
    cluster = connect(namespace, context, kubeconfig)
    if watch:
        follow(cluster, name)
    job = cluster.job(name)
    if format:
        typer.echo(written(job, format), nl=False)
        return
    print_listed(title(job), rows_of(cluster, job))


def written(job: Job, format: Format) -> str:  # noqa: A002
    """The object, less the record of who set which field, as kubectl prints it."""
    job["metadata"].pop("managedFields", None)
    if format == "json":
        return json.dumps(job, indent=4) + "\n"
    text: str = yaml.safe_dump(job, sort_keys=False)
    return text


def title(job: Job) -> str:
    """Which job this is."""
    return f"{job['metadata']['namespace']}/{job['metadata']['name']}"


def rows_of(cluster: Cluster, job: Job) -> list[Row]:
    """Everything about a job, now; its events as far as this user may see them."""
    by, now = summary.progress_protocol(job, summary.status_in(job)), datetime.now(UTC)
    try:
        return summary.rows(job, cluster.events(job), by, now)
    except Failure as failure:
        return [*summary.rows(job, (), by, now), ("events", f"not to be had: {failure}")]


def follow(cluster: Cluster, name: str) -> None:
    """Show a job until it is over, say how it ended, and exit with its exit code."""
    with left_behind(name), showing(cluster, name) as show:
        for job in cluster.follow(name):
            show(job)
            status = summary.status_in(job)
            if is_over(status):
                break
    if output.is_terminal:  # the picture is gone, and with it what it said last
        output.print(f"{name}: {summary.line(status)}", markup=False, soft_wrap=True)
    if failed := summary.condition(status, "Failed"):
        errors.print(f"{failed.reason}: {failed.message}", style="red", markup=False, soft_wrap=True)
    for label, text in summary.what_it_left(status):
        output.print(f"{label:<8} {text}", markup=False, soft_wrap=True)
    raise typer.Exit(summary.exit_code(status))


@contextmanager
def left_behind(name: str) -> Iterator[None]:
    """Ctrl-C ends the body and not the job: say so."""
    try:
        yield
    except KeyboardInterrupt:
        errors.print(f"{name} goes on; `{PROGRAM} status {name}` says where it is", markup=False)
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def showing(cluster: Cluster, name: str) -> Iterator[Callable[[Job], None]]:
    """Shows a job each time that it has changed: as a whole on a terminal, else a line for each change."""
    if not output.is_terminal:
        yield Lines(name).show
        return
    picture = Picture(cluster, name)
    with Live(get_renderable=picture.drawn, console=output, refresh_per_second=1, transient=True) as live:

        def show(job: Job) -> None:
            picture.look(job)
            live.refresh()

        yield show


class Lines:
    """A line for each change that matters, for output that is read later."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen: tuple[object, ...] = ()

    def show(self, job: Job) -> None:
        """Print a line, if there is news."""
        status = summary.status_in(job)
        if (news := summary.news(status)) != self.seen:
            self.seen = news
            output.print(f"{self.name}: {summary.line(status)}", markup=False, soft_wrap=True)


class Picture:
    """All that is known of a job, drawn anew each second for the ages in it."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster, self.name = cluster, name
        self.job: Job | None = None
        self.events: list[Job] = []
        self.by = ""

    def look(self, job: Job) -> None:
        """Take in a change."""
        self.job = job
        self.by = self.by or summary.progress_protocol(job, summary.status_in(job))
        try:
            self.events = self.cluster.events(job)
        except Failure:  # they are for people, and come again with the next change
            self.events = []

    def drawn(self) -> Table:
        """The picture, now."""
        if self.job is None:
            return listed(self.name, [])
        return listed(self.name, summary.rows(self.job, self.events, self.by, datetime.now(UTC)))
