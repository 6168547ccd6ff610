"""The controller as a process: start everything, and end it in order."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import typer

from mmaction_operator.api.defaults import parse_defaults
from mmaction_operator.api.spec import CONTROLLER
from mmaction_operator.kube import (
    Client,
    Connection,
    Controller,
    Elector,
    EventRecorder,
    Informer,
    Key,
    LeadershipLost,
    Object,
    Resource,
    Selection,
    TokenBucket,
    controller_in,
    hasty,
)
from mmaction_operator.plan import Settings, names
from mmaction_operator.ports import PortRange, PortRegistry
from mmaction_trainer.contract.errors import Failure

from . import logs
from .board import ProgressBoard
from .metrics import BY_PHASE, Metrics, State, phase_of
from .reconciler import Reconciler
from .resources import BY_TRAINJOB, BY_UID, JOBS, PODS, TRAINJOBS, own_uid, trainjob_of, trainjob_uid
from .web import Posts, Web, serve, server

log = logging.getLogger(__name__)

NAME = "mmaction-operator"
GATHER = 0.2
"""Seconds in which changes of a job's pods are gathered: a pod that starts changes four times in less than that."""
SILENCE = 900.0
"""Seconds without a byte from the API server on a watch after which the process is to be started again."""


def identity() -> str:
    """A name for this process: its pod's, so that a container that is started again goes on at once.

    Outside of pods it is its machine's with a random part, as several may run there.
    """
    if pod := os.environ.get("POD_NAME"):
        return f"{pod}_{os.environ.get('POD_UID', '')}"
    return f"{socket.gethostname()}_{secrets.token_hex(4)}"


@dataclass(frozen=True)
class Options:
    """How the controller runs.

    Args:
        settings: what it decides for all jobs.
        namespaces: whose jobs it takes care of; all if empty.
        leases: the Leases of which it holds all while it acts, taken in this order; none: it acts at once.
        identity: its name among those that take them, which no other process has or had.
        address: where it answers HTTP.
        workers: jobs that are reconciled at once.
        rate: requests a second to the API server, and how many at once on top of that.
        kubeconfig: how it reaches the API server; default as kubectl, in a pod its service account.
    """

    settings: Settings
    namespaces: Sequence[str] = ()
    leases: Sequence[Key] = ()
    identity: str = field(default_factory=identity)
    address: tuple[str, int] = ("", 8080)
    workers: int = 4
    rate: tuple[float, int] = (200.0, 400)
    kubeconfig: Path | None = None


class Application:
    """The controller and all that it consists of."""

    def __init__(self, options: Options) -> None:
        self.options, self.metrics = options, Metrics()
        connection = Connection.load(options.kubeconfig, user_agent=NAME)
        self.client = Client(
            connection=connection,
            field_manager=NAME,
            limit=TokenBucket(*options.rate),
            observe=self.metrics.exchanged,
        )
        informer = partial(Informer, self.client, namespaces=options.namespaces)
        self.mine = f"{names.MANAGED_BY}={names.MANAGER}"
        self.trainjobs = informer(TRAINJOBS, indexes={BY_PHASE: partial(phase_of, options.settings)})
        self.jobs = informer(JOBS, labels=self.mine)
        self.pods = informer(PODS, labels=self.mine, indexes={BY_TRAINJOB: trainjob_uid, BY_UID: own_uid})
        self.registry, self.board = PortRegistry(options.settings.ports), ProgressBoard()
        self.controller = Controller(self.reconcile, workers=options.workers, observe=self.metrics.reconciled)
        self.reconciler = Reconciler(
            client=replace(self.client, fence=self.controller.fence),
            trainjobs=self.trainjobs.store,
            jobs=self.jobs.store,
            pods=self.pods.store,
            registry=self.registry,
            board=self.board,
            events=EventRecorder(hasty(self.client), component=NAME, instance=options.identity),
            settings=options.settings,
            observe=self.metrics.written,
        )
        self.controller.watch(self.trainjobs)
        self.controller.watch(self.jobs, controller_in(TRAINJOBS), gather=GATHER)
        self.controller.watch(self.pods, trainjob_of, gather=GATHER)
        self.metrics.registry.register(State(self.controller, self.trainjobs, self.registry))
        self.electors = self.elections(options.leases)
        self._restoring, self._restored = threading.Lock(), False

    def elections(self, leases: Sequence[Key]) -> list[Elector]:
        """Those to be won before anything is done, each after the one before."""
        electors: list[Elector] = []
        for lease in leases:
            after = electors[-1] if electors else None
            electors.append(Elector(hasty(self.client), lease, self.options.identity, after=after))
        return electors

    def reconcile(self, key: Key) -> float | None:
        """Reconcile one job; before the first one, go on where the process that led before has ended."""
        if not self._restored:
            with self._restoring:
                if not self._restored:
                    self.reconciler.restore(self.listed(TRAINJOBS), self.listed(JOBS, self.mine))
                    self._restored = True
        return self.reconciler(key)

    def listed(self, resource: Resource, labels: str = "") -> list[Object]:
        """What the server has now of a resource, in all namespaces that are taken care of."""
        selections = [Selection(namespace, labels) for namespace in self.options.namespaces or (None,)]
        return [item for selection in selections for item in self.client.list(resource, selection).objects]

    def run(self) -> None:
        """Run until told to stop.

        Raises:
            LeadershipLost: end the process at once.
        """
        web, crew = server(self.options.address, self.web()), self.controller.crew
        crew.start("web", lambda: serve(web, crew.stopping))
        log.info("answering HTTP at port %d", web.server_address[1])
        self.controller.run(*self.electors)

    def web(self) -> Web:
        """What is answered over HTTP."""
        posts = Posts(
            client=self.client,
            pods=self.pods.store,
            board=self.board,
            changed=self.controller.queue.add,
            audience=self.options.settings.audience,
            count=lambda outcome: self.metrics.progress.labels(outcome).inc(),
            leads=lambda: all(elector.leads for elector in self.electors),
        )
        return Web(self.unwell, lambda: self.controller.synced, self.metrics.registry, posts)

    def unwell(self) -> str:
        """Why this process should be started again; empty while it should not."""
        for informer in (self.trainjobs, self.jobs, self.pods):
            if informer.seconds_since_last_byte > SILENCE:
                return f"nothing was heard of a watch for {informer.seconds_since_last_byte:.0f} s"
        return ""


def stop_when_told(controller: Controller) -> None:
    """Let the controller end in order at SIGTERM or Ctrl-C, which ``start`` holds back.

    A thread waits for them, as a handler may take no lock.
    """

    def wait() -> None:
        told = signal.sigwait((signal.SIGTERM, signal.SIGINT))
        log.info("%s: ending in order", signal.Signals(told).name)
        controller.stop()

    threading.Thread(target=wait, name="signals", daemon=True).start()


def option(default: Any, name: str, help: str) -> Any:  # noqa: A002
    """An option that is also read from the environment, as ``MMACTION_`` and its name."""
    return typer.Option(default, envvar=f"MMACTION_{name}", help=help)


def controller(
    trainer_image: str = option(..., "TRAINER_IMAGE", "Image of the trainer."),
    pull_policy: str = option("", "PULL_POLICY", "When kubelets pull it; default: as its tag says."),
    progress_url: str = option("", "PROGRESS_URL", "Where trainers post their progress; default: nowhere."),
    ports: str = option("20000-29399", "PORTS", "Ports that are leased."),
    namespaces: str = option("", "NAMESPACES", "Namespaces to take care of, separated by commas; default: all."),
    controller_name: str = option(CONTROLLER, "CONTROLLER_NAME", "Whose jobs it takes care of, by their managedBy."),
    defaults: str = option("", "DEFAULTS", "What jobs need not say, in JSON: of everywhere, and by namespaces."),
    leases: str = option("", "LEASES", "NAMESPACE/NAME of each Lease to hold while it acts, separated by commas."),
    port: int = option(8080, "PORT", "Where HTTP is answered: probes, metrics, progress."),
    workers: int = option(4, "WORKERS", "Jobs that are reconciled at once."),
    log_level: str = option("info", "LOG_LEVEL", "debug, info, warning or error."),
) -> None:
    """Run the controller: TrainJobs of a cluster become pods, and what these say becomes status."""
    logs.begin(log_level)
    settings = Settings(
        trainer_image=trainer_image,
        pull_policy=pull_policy,
        progress_url=progress_url,
        ports=PortRange.parse(ports),
        name=controller_name,
        defaults=parse_defaults(defaults, "MMACTION_DEFAULTS"),
    )
    options = Options(
        settings=settings,
        namespaces=[name for name in namespaces.split(",") if name],
        leases=[Key(*lease.split("/", 1)) for lease in leases.split(",") if lease],
        address=("", port),
        workers=workers,
    )
    application = Application(options)
    stop_when_told(application.controller)
    try:
        application.run()
    except LeadershipLost as lost:
        log.error("%s", lost)
        os._exit(1)


def main() -> None:
    """The command."""
    try:
        typer.run(controller)
    except Failure as failure:
        log.error("%s: %s", failure.name, failure)
        sys.exit(failure.exit_code)
