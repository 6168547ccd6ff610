"""One run: rounds, one after the other, then the end of all jobs, and the account."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from tests.cluster.clusters import S3_NAME, Cluster
from tests.cluster.fault_proxy import serve_fault_proxy
from tests.e2e.jobs import SECRET, add_secret, installed

from . import drawing, endings, on_cluster, on_jobs, on_storage
from .journal import Journal
from .scene import Scene
from .stage import Disturbance, NothingThere, Stage
from .stream import Stream
from .watching import watching

NAMESPACE, BEHIND_FAULTS = "chaos", 9001
SECONDS_TO_END = 600
"""For jobs that are there after the last round: one that failed often waits five minutes for its next attempt."""

DISTURBANCES: dict[str, Disturbance] = {
    **on_jobs.DISTURBANCES,
    **on_cluster.DISTURBANCES,
    **on_storage.DISTURBANCES,
}
"""Every kind of round."""
KILL_A_LAUNCHER = {"launcher killed", "launcher killed while it sends", "node lost", "memory ran out"}
"""What it is sending then is the next attempt's to end; of a job that is deleted, or out of memory, there is none."""


@contextmanager
def scene_in(cluster: Cluster, images: dict[str, str], namespace: str = NAMESPACE) -> Iterator[Scene]:
    """The operator in two replicas, and a team's namespace that reaches S3 by a way that can be made bad."""
    host, _, port = cluster.s3.endpoint.removeprefix("http://").rpartition(":")
    with (
        serve_fault_proxy(host, cluster.server.folder) as proxy,
        installed(cluster, images, "--set", "replicas=2") as system,
    ):
        link = proxy.link("s3", f"{host}:{port}", BEHIND_FAULTS)
        cluster.server.make_namespace(namespace)
        add_secret(cluster, namespace, SECRET, cluster.s3, AWS_ENDPOINT_URL=f"http://{S3_NAME}:{BEHIND_FAULTS}")
        yield Scene(cluster, link, namespace, system)


def play(scene: Scene, data: str, *, seed: int, rounds: int, log: Path) -> Journal:
    """Play some rounds, and see all jobs to their end; what did not hold is in the journal."""
    journal = Journal(log, seed)
    stream = Stream(scene, journal, drawing.jobs(seed), data)
    at = Stage(scene, stream, journal)
    try:
        with watching(scene, journal):
            for round_ in islice(drawing.rounds(seed), rounds):
                disturb(at, round_)
            stream.ending = True
            end(at)
    finally:  # of a run that is interrupted too
        journal.write("summary", **journal.summary())
    return journal


def disturb(at: Stage, round_: drawing.Round) -> None:
    """Play one round, and say what was done to whom, and how all jobs were then."""
    at.journal.round = round_.number
    at.rest(round_.pause)
    begun = time.monotonic()
    try:
        whom = DISTURBANCES[round_.kind](at, round_)
    except (NothingThere, ProcessLookupError, FileNotFoundError) as error:  # or it has just ended
        at.journal.count("rounds", "nothing to disturb")
        at.journal.write("nothing to disturb", kind=round_.kind, why=repr(error))
        return
    at.stream.tend()
    at.journal.count("rounds", round_.kind)
    then = {each.name: each.where for each in at.stream.open}
    at.journal.write(round_.kind, to=whom, took=round(time.monotonic() - begun, 1), then=then)


def end(at: Stage) -> None:
    """See all jobs to their end, and that nothing is left that nobody owns."""
    deadline = time.monotonic() + SECONDS_TO_END
    while not at.stream.is_clear and time.monotonic() < deadline:
        at.rest(1)
    for job in at.stream.open:
        at.journal.problem(f"{job.name} is not over {SECONDS_TO_END} s after the last round: {job.where}")
    for upload in endings.unfinished_uploads(at.scene.cluster.s3, at.scene.namespace):
        job = at.stream.known[upload.job]
        runs_no_more = job.deleted or job.status["phase"] == "Failed"
        if runs_no_more and job.met & KILL_A_LAUNCHER:
            at.journal.write("upload that nobody was left to end", job=job.name, key=upload.key)
        else:
            at.journal.problem(f"an upload of {job.name} was never ended: {upload.key}")
    for job in at.stream.known.values():
        at.scene.ask("DELETE", at.scene.path("trainjobs", job.name))
    at.scene.ask("DELETE", f"/api/v1/namespaces/{at.scene.namespace}")
