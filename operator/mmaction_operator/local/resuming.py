"""Which run of a job on this machine has not ended, and may be gone on with."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from mmaction_operator.api import TrainJob
from mmaction_operator.ports import LeaseFolder, holders
from mmaction_trainer.contract.checkpoints import INDEX, PREFIX
from mmaction_trainer.contract.errors import ConfigFailure
from mmaction_trainer.contract.run import JobIdentity
from mmaction_trainer.storage import MANIFEST, open_storage
from mmaction_trainer.storage.checkpoints import read_index

FIELD = "--resume"


def unfinished(job: TrainJob, state: Path, leases: LeaseFolder) -> JobIdentity:
    """The newest run of a job that left a checkpoint and no results: its uid, and the number of its next attempt.

    Raises:
        ConfigFailure: there is none, or it runs now.
    """
    namespace, name = job.metadata.namespace, job.metadata.name
    storage = open_storage(f"{job.spec.storage.uri.rstrip('/')}/{namespace}/{name}")
    keys = [stored.key for stored in storage.list()]
    ended = {key.removesuffix(f"/{MANIFEST}") for key in keys if key.endswith(f"/{MANIFEST}")}
    runs: list[tuple[datetime, str, int]] = []
    for key in keys:
        uid, _, rest = key.partition("/")
        if uid not in ended and rest.startswith(f"{PREFIX}/") and rest.endswith(f"/{INDEX}"):
            index = read_index(storage, key)
            runs.append((index.saved_at, uid, index.attempt))
    if not runs:
        raise ConfigFailure(
            FIELD, f"no run of {namespace}/{name} in {storage.uri} left a checkpoint", do="Run it without --resume."
        )
    _, uid, attempt = max(runs)
    for held in holders(leases):
        if held.holder and held.holder.job.uid == uid:
            raise ConfigFailure(FIELD, f"{held}: that run goes on", do="Wait for its end, or stop it.")
    folders = (state / namespace / name / uid).glob("attempt-*")
    tried = [int(folder.name.partition("-")[2]) for folder in folders]
    return JobIdentity(namespace=namespace, name=name, uid=uid, attempt=max([attempt, *tried]) + 1)
