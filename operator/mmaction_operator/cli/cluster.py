"""What the command line asks a cluster: one job, its changes, its events, its pods and what they print.

Imported only once a cluster is needed; ``connecting`` does that. Whatever goes wrong ends as a ``Failure``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmaction_operator.controller.resources import PODS, TRAINJOBS
from mmaction_operator.kube import (
    Client,
    Connection,
    Gone,
    Key,
    KubeError,
    NotFound,
    Object,
    Patience,
    Selection,
    TooManyRequests,
    Unavailable,
    Unreachable,
    version_of,
)
from mmaction_operator.kube.events import EVENTS
from mmaction_operator.plan import names

from .connecting import ClusterFailure
from .program import PROGRAM
from .refusals import failure_of, is_unknown_resource, refusals

FIELD_MANAGER = "trainjob"
WATCH, SILENCE = 300.0, 330.0
"""Seconds that a watch is asked for, and after which one that is silent is given up."""
OUTAGE = 300.0
"""Seconds without an answer after which a cluster that did answer before is given up."""
PAUSE = 1.0
"""Seconds before a watch is opened again."""
QUIET = 86_400.0
"""Seconds without a line after which a log that is followed is asked for anew: a training may say nothing for long."""


@dataclass(frozen=True)
class Cluster:
    """A cluster, as one user, in one namespace."""

    client: Client
    namespace: str
    sleep: Callable[[float], None] = time.sleep

    @classmethod
    def connect(cls, namespace: str | None, context: str | None, kubeconfig: Path | None) -> Cluster:
        """The cluster that a kubeconfig's context names, in its namespace unless another is given.

        Raises:
            ClusterFailure: nothing says where a cluster is.
        """
        try:
            connection = Connection.load(kubeconfig, user_agent="trainjob", context=context)
        except Unreachable as error:
            raise ClusterFailure(
                str(kubeconfig or "kubeconfig"),
                str(error).removeprefix("connect to Kubernetes: "),
                do="Name a kubeconfig with --kubeconfig or $KUBECONFIG, and a context of it with --context; "
                "`kubectl config get-contexts` lists them.",
            ) from error
        client = Client(connection=connection, field_manager=FIELD_MANAGER, patience=Patience(attempts=3))
        return cls(client, namespace or connection.namespace)

    @property
    def server(self) -> str:
        """URL of the API server."""
        return self.client.connection.server

    def find(self, name: str) -> Object | None:
        """A job, if there is one of this name."""
        with refusals(self.server):
            try:
                return self.client.get(TRAINJOBS, Key(self.namespace, name))
            except NotFound as error:
                if is_unknown_resource(error):
                    raise
                return None

    def job(self, name: str) -> Object:
        """A job.

        Raises:
            ClusterFailure: there is none of this name.
        """
        if (found := self.find(name)) is None:
            raise self.missing(name)
        return found

    def missing(self, name: str) -> ClusterFailure:
        """That there is no such job."""
        where = f"TrainJob {self.namespace}/{name} at {self.server}"
        do = f"`kubectl get trainjobs -n {self.namespace}` lists those there are; -n names another namespace."
        return ClusterFailure(where, "there is none", do=do)

    def apply(self, manifest: Mapping[str, Any], *, dry_run: bool) -> Object:
        """Say what a job should be, unless somebody else said otherwise; the job as it then is."""
        with refusals(self.server):
            return self.client.apply(TRAINJOBS, manifest, force=False, dry_run=dry_run)

    def events(self, job: Object) -> list[Object]:
        """What was told about a job of late."""
        fields = f"involvedObject.uid={job['metadata']['uid']}"
        with refusals(self.server):
            return self.client.list(EVENTS, Selection(self.namespace, fields=fields)).objects

    def pods(self, job: Object) -> list[Object]:
        """The pods of a job that are there, of every attempt."""
        with refusals(self.server):
            labels = f"{names.UID}={job['metadata']['uid']}"
            return self.client.list(PODS, Selection(self.namespace, labels=labels)).objects

    def log(self, pod: str, *, follow: bool, tail: int | None) -> Iterator[bytes]:
        """The lines that a pod printed; with ``follow``, those that it will print too, to its end.

        A stream that breaks off, as a load balancer's does that hears nothing for long, goes on behind the last line.
        """
        key, options = Key(self.namespace, pod), {"timestamps": "true", **({"follow": "true"} if follow else {})}
        start = {} if tail is None else {"tailLines": str(tail)}
        last, seen, outage = b"", b"", Outage()
        while True:
            try:
                pieces = self.client.log(key, options | start, silence=QUIET if follow else None)
                outage.ended()
                for line in lines(pieces):
                    stamp, _, text = line.partition(b" ")
                    if stamp > seen:
                        last = stamp
                        yield text
                return
            except (Unreachable, Unavailable) as error:
                if not follow or not outage.bearable():
                    raise failure_of(error, self.server) from error
            except KubeError as error:
                raise failure_of(error, self.server) from error
            if last:  # the server begins with the second that this is in
                seen, start = last, {"sinceTime": last.decode()}
            self.sleep(PAUSE)

    def follow(self, name: str) -> Iterator[Object]:
        """A job as it is, and then each time that it has changed, for ever.

        Raises:
            ClusterFailure: there is no such job, or not any more; or the cluster has not answered for minutes.
        """
        uid, version, outage = "", "", Outage()
        selection = Selection(self.namespace, fields=f"metadata.name={name}")
        while True:
            try:
                if not version:
                    found = self.client.list(TRAINJOBS, selection)
                    job = next(iter(found.objects), None)
                    if job is None or (uid and job["metadata"]["uid"] != uid):
                        raise self.deleted(name) if uid else self.missing(name)
                    uid, version = job["metadata"]["uid"], found.version
                    yield job
                with self.client.watch(TRAINJOBS, selection, version=version, seconds=WATCH, silence=SILENCE) as watch:
                    outage.ended()
                    for event in watch:
                        version = version_of(event.object)
                        if event.type == "DELETED":
                            raise self.deleted(name)
                        if event.type != "BOOKMARK":
                            yield event.object
            except Gone:
                version = ""
            except (Unreachable, Unavailable, TooManyRequests) as error:
                if not outage.bearable():
                    raise failure_of(error, self.server) from error
            except KubeError as error:
                raise failure_of(error, self.server) from error
            self.sleep(PAUSE)

    def deleted(self, name: str) -> ClusterFailure:
        """That a job is no more."""
        where = f"TrainJob {self.namespace}/{name}"
        do = f"What it left in storage stays: `{PROGRAM} results list URI` finds it below its spec.storage.uri."
        return ClusterFailure(where, "was deleted", do=do)


class Outage:
    """A time without an answer: bearable for minutes, and not at all before there was a first one."""

    def __init__(self) -> None:
        self._answered = False
        self._since: float | None = None

    def ended(self) -> None:
        """There is an answer."""
        self._answered, self._since = True, None

    def bearable(self) -> bool:
        """Whether to go on though there is none now."""
        self._since = self._since or time.monotonic()
        return self._answered and time.monotonic() - self._since < OUTAGE


def lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Whole lines from pieces, without their ends."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
    if rest:
        yield rest
