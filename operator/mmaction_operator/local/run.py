"""A TrainJob on this machine, from its leases to its results.

One attempt is one process, the trainer's launcher, told everything by ``run.json`` as in a pod. What a cluster's
controller and scheduler do between jobs, leases do here: ports and GPUs are held by locked files that the training
itself keeps open.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from mmaction_operator.api import TrainJob
from mmaction_operator.plan import run_of
from mmaction_operator.ports import GPULease, Holder, LeaseFolder, PortLease, PortRange, lease_gpus, lease_port
from mmaction_operator.render import Rendered
from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.errors import ConfigFailure, PortFailure
from mmaction_trainer.contract.result import Result
from mmaction_trainer.contract.run import JobIdentity, Rendezvous

from .devices import visible_gpus
from .launcher import Watcher, follow, run_folder, start

PORT_ATTEMPTS = 5


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

    @classmethod
    def of_machine(cls, environ: Mapping[str, str], **others: Any) -> Self:
        """This machine's: run directories in ``$TRAINJOB_STATE``, else ``mmaction-operator/runs`` in the user's own."""
        state = Path(environ.get("XDG_STATE_HOME", Path.home() / ".local/state")) / "mmaction-operator" / "runs"
        return cls(Path(environ.get("TRAINJOB_STATE", state)), LeaseFolder.of_machine(environ), **others)


@dataclass(frozen=True)
class Ended:
    """How a run ended: its result, and the folder that holds its logs unless it succeeded."""

    result: Result
    folder: Path


def run(job: TrainJob, rendered: Rendered, identity: JobIdentity, settings: Settings, watcher: Watcher) -> Ended:
    """Check a job, then run it to its end; a port that something else took is replaced in a new attempt.

    Args:
        job: with paths that are whole.
        rendered: its config.
        identity: whose run this is, and its first attempt here.
        settings: this machine's.
        watcher: who is told.

    Raises:
        Failure: the run could not be started.
    """
    refuse_other_machines(job)
    if job.spec.preflight:
        checked = preflight(job, rendered, identity.uid, settings, watcher)
        if checked.result.outcome == "Failed":
            return checked
        for warning in checked.result.warnings:
            watcher.say(f"warning: {warning}")
    taken: frozenset[int] = frozenset()
    with gpus(job, Holder.of(identity, datetime.now(UTC)), settings, watcher) as devices:
        last = identity.attempt + PORT_ATTEMPTS - 1
        for number in range(identity.attempt, last + 1):
            attempt = identity.model_copy(update={"attempt": number})
            holder = Holder.of(attempt, datetime.now(UTC))
            with lease_port(settings.leases, settings.ports, holder, avoid=taken) as port:
                for skipped in port.skipped:
                    watcher.say(f"port {skipped} is held by a process that takes no leases; passed over")
                ended = try_once(job, rendered, attempt, port, devices, settings, watcher)
            if not port_was_taken(ended.result) or number == last:
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
    told = run_of(job, rendered, identity, Rendezvous(port=port.port))
    folder = run_folder(settings.state, f"attempt-{identity.attempt}", rendered, told)
    does = f"learning rate {told.effective_lr:g}" if told.trains else "a test alone"
    watcher.say(
        f"attempt {identity.attempt}: port {port.port}, rendezvous {identity.rendezvous_id}, "
        f"{told.world.size} ranks on {', '.join(devices.devices) or 'CPU'}, {does}; in {folder}"
    )
    fds = port.pass_fds + devices.pass_fds
    environment = {
        "CUDA_VISIBLE_DEVICES": ",".join(devices.devices),
        layout.LEASE_FDS: ",".join(map(str, fds)),
    }
    process = start(folder, [f"--grace={settings.grace}"], environment, fds)
    stopping = f"the ranks finish their iteration, a training leaves a checkpoint ({settings.grace:g} s at most)"
    return Ended(follow(process, folder, watcher, stopping), folder)


def preflight(job: TrainJob, rendered: Rendered, uid: str, settings: Settings, watcher: Watcher) -> Ended:
    """Check what can be checked before GPUs are held; the folder has ``preflight.json`` afterwards."""
    identity = JobIdentity(namespace=job.metadata.namespace, name=job.metadata.name, uid=uid, attempt=0)
    told = run_of(job, rendered, identity, Rendezvous(port=0))
    folder = run_folder(settings.state, "preflight", rendered, told, anew=True)
    process = start(folder, ["--preflight"], {"CUDA_VISIBLE_DEVICES": ""}, ())
    return Ended(follow(process, folder, watcher, "the preflight ends"), folder)


def port_was_taken(result: Result) -> bool:
    """Whether the attempt ended because something outside the product held its port."""
    return result.error is not None and result.error.exit_code == PortFailure.exit_code
