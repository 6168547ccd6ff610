"""Run directories for tests: a config that needs no rendering, and the run.json beside it."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path

from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.run import DataSource, JobIdentity, Protocol, Rendezvous, Run, World


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def a_run(uid: str, *, port: int, nodes: int = 1, processes: int = 1, results: Path = Path("/nowhere")) -> Run:
    """What an attempt of job ``uid`` is told."""
    return Run(
        job=JobIdentity(namespace="default", name=f"job-{uid}", uid=uid),
        world=World(nodes=nodes, processes_per_node=processes),
        rendezvous=Rendezvous(port=port),
        data=DataSource(uri="/nowhere", format="list", num_classes=2),
        results_uri=str(results),
        config_sha256=hashlib.sha256(b"").hexdigest(),
        epochs=1,
        effective_lr=0.1,
        val_protocol=Protocol(clips=1, crops=1),
        test_protocol=Protocol(clips=10, crops=3),
    )


def a_run_folder(folder: Path, run: Run) -> Path:
    """A run directory of ``run`` with an empty config."""
    folder.mkdir(parents=True)
    (folder / layout.CONFIG).write_bytes(b"")
    run.write(folder / layout.RUN)
    return folder
