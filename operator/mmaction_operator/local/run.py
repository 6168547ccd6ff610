"""A TrainJob on this machine, from its leases to its results.

One attempt is one process, the trainer's launcher, told everything by ``run.json`` as in a pod. What a cluster's
controller and scheduler do between jobs, leases do here: ports and GPUs are held by locked files that the training
itself keeps open.
"""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from mmaction_operator.api import TrainJob
from mmaction_operator.plan import run_of
from mmaction_operator.ports import GPULease, Holder, LeaseFolder, PortLease, PortRange, lease_gpus, lease_port
from mmaction_operator.render import Rendered
from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.errors import ConfigFailure, Failure, PortFailure
from mmaction_trainer.contract.progress import Progress
from mmaction_trainer.contract.result import FailureReport, Result
from mmaction_trainer.contract.run import JobIdentity, Rendezvous

from .devices import visible_gpus

PORT_ATTEMPTS = 5
SECONDS_BETWEEN_LOOKS = 0.3


@dataclass(frozen=True)
class Settings:
    """How this machine is shared.

    Args:
        state: folder of run directories.
        leases: where all runs of this machine meet.
        ports: the ports that runs may lease.
        wait: wait for GPUs that other runs hold, instead of refusing.
        grace: seconds that ranks have to stop after Ctrl-C.
    """

    state: Path
    leases: LeaseFolder
    ports: PortRange = field(default_factory=PortRange)
    wait: bool = False
    grace: float = 60.0


@dataclass
class Watcher:
    """Who is told what happens: a terminal, or a test."""

    say: Callable[[str], None]
    show: Callable[[Progress], None]


@dataclass(frozen=True)
class Ended:
    """How a run ended: its result, and the folder that holds its logs unless it succeeded."""

    result: Result
    folder: Path


def run(job: TrainJob, rendered: Rendered, uid: str, settings: Settings, watcher: Watcher) -> Ended:
    """Run a job to its end; a port that something else took is replaced in a new attempt.

    Raises:
        Failure: the run could not be started.
    """
    refuse_other_machines(job)
    identity = JobIdentity(namespace=job.metadata.namespace, name=job.metadata.name, uid=uid)
    taken: frozenset[int] = frozenset()
    with gpus(job, Holder.of(identity, datetime.now(UTC)), settings, watcher) as devices:
        for number in range(1, PORT_ATTEMPTS + 1):
            attempt = identity.model_copy(update={"attempt": number})
            holder = Holder.of(attempt, datetime.now(UTC))
            with lease_port(settings.leases, settings.ports, holder, avoid=taken) as port:
                for skipped in port.skipped:
                    watcher.say(f"port {skipped} is held by a process that takes no leases; passed over")
                ended = try_once(job, rendered, attempt, port, devices, settings, watcher)
            if not port_was_taken(ended.result) or number == PORT_ATTEMPTS:
                break
            watcher.say(f"port {port.port} was taken by another process before training began; taking another")
            taken |= {port.port}
    if ended.result.outcome == "Succeeded":
        shutil.rmtree(ended.folder.parent)
    return ended


def refuse_other_machines(job: TrainJob) -> None:
    """Refuse a job that this machine alone cannot run.

    Raises:
        ConfigFailure: it asks for several nodes.
    """
    if job.spec.resources.nodes > 1:
        raise ConfigFailure(
            "spec.resources.nodes",
            f"{job.spec.resources.nodes}",
            accepted="1 with `trainjob run`, which runs on this machine",
            do="Apply it to a cluster, or lower it.",
        )


@contextmanager
def gpus(job: TrainJob, holder: Holder, settings: Settings, watcher: Watcher) -> Iterator[GPULease]:
    """The GPUs that the job asks for, held while it runs."""
    with lease_gpus(
        settings.leases,
        job.spec.resources.gpus_per_node,
        visible_gpus(os.environ),
        holder,
        wait=math.inf if settings.wait else 0.0,
        on_wait=lambda held: watcher.say("waiting: " + "; ".join(map(str, held))),
    ) as lease:
        yield lease


def try_once(
    job: TrainJob,
    rendered: Rendered,
    identity: JobIdentity,
    port: PortLease,
    devices: GPULease,
    settings: Settings,
    watcher: Watcher,
) -> Ended:
    """One attempt: write what the launcher is told, start it, and follow it to its end."""
    folder = settings.state / identity.namespace / identity.name / identity.uid / f"attempt-{identity.attempt}"
    (folder / layout.LOGS).mkdir(parents=True)
    (folder / layout.CONFIG).write_text(rendered.text)
    told = run_of(job, rendered, identity, Rendezvous(port=port.port))
    told.write(folder / layout.RUN)
    watcher.say(
        f"attempt {identity.attempt}: port {port.port}, rendezvous {identity.rendezvous_id}, "
        f"{told.world.size} ranks on {', '.join(devices.devices) or 'CPU'}, learning rate {rendered.effective_lr:g}"
    )
    process = start(folder, devices, port, settings)
    follow(process, folder, settings, watcher)
    path = folder / layout.RESULT
    return Ended(Result.read(path) if path.exists() else unexplained(told.results_uri, process, folder), folder)


def start(folder: Path, devices: GPULease, port: PortLease, settings: Settings) -> subprocess.Popen[bytes]:
    """Start the launcher in a session of its own, so that Ctrl-C reaches it through us alone.

    It inherits the leases: should this process be killed, they last as long as the training.
    """
    fds = port.pass_fds + devices.pass_fds
    with (folder / layout.LOGS / "launcher.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "mmaction_trainer.launch", str(folder), f"--grace={settings.grace}"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                "CUDA_VISIBLE_DEVICES": ",".join(devices.devices),
                layout.LEASE_FDS: ",".join(map(str, fds)),
            },
            pass_fds=fds,
            start_new_session=True,
        )


def follow(process: subprocess.Popen[bytes], folder: Path, settings: Settings, watcher: Watcher) -> None:
    """Show progress until the launcher ends; pass signals on to it."""

    def stop(signum: int, frame: FrameType | None) -> None:
        watcher.say(f"stopping: the ranks finish their iteration and leave a checkpoint ({settings.grace:g} s at most)")
        process.send_signal(signal.SIGTERM)

    before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for signum, handler in before.items():
        if handler != signal.SIG_IGN:  # nohup
            signal.signal(signum, stop)
    try:
        while process.poll() is None:
            show(folder, watcher)
            time.sleep(SECONDS_BETWEEN_LOOKS)
        show(folder, watcher)
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def show(folder: Path, watcher: Watcher) -> None:
    """Pass on the newest progress."""
    path = folder / layout.PROGRESS
    if path.exists():
        watcher.show(Progress.read(path))


def port_was_taken(result: Result) -> bool:
    """Whether the attempt ended because something outside the product held its port."""
    return result.error is not None and result.error.exit_code == PortFailure.exit_code


def unexplained(results_uri: str, process: subprocess.Popen[bytes], folder: Path) -> Result:
    """The result of a launcher that left none."""
    failure = Failure(str(folder / layout.LOGS / "launcher.log"), f"the launcher ended with code {process.returncode}")
    return Result(outcome="Failed", results_uri=results_uri, port=0, world_size=0, error=FailureReport.of(failure))
