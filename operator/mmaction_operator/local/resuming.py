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
        ConfigFailure: there is none, or it runs now; or the job never goes on with one.
    """
    namespace, name = job.metadata.namespace, job.metadata.name
    if job.spec.resume == "Never":
        raise ConfigFailure(
            FIELD,
            "spec.resume is Never: it would begin anew, and its checkpoints take the place of those before",
            accepted="a job whose spec.resume is IfPossible or Required",
            do="Change that; or run it without --resume, which begins anew and leaves them.",
        )
    storage = open_storage(f"{job.spec.storage.uri.rstrip('/')}/{namespace}/{name}")
    keys = [stored.key for stored in storage.list()]
    ended = {key.removesuffix(f"/{MANIFEST}") for key in keys if key.endswith(f"/{MANIFEST}")}
    runs: list[tuple[datetime, str, int]] = []
    for key in keys:
        uid, _, rest = key.partition("/")
        if uid not in ended and rest.startswith(f"{PREFIX}/") and rest.endswith(f"/{INDEX}"):
            index = read_index(storage, key)
            runs.append((index.saved_at, uid, index.attempt))
    if not runs and ended:
        raise ConfigFailure(
            FIELD,
            f"{namespace}/{name} is done: {storage.uri}/{max(ended)} has its results",
            do="Run it without --resume to train it once more.",
        )
    if not runs:
        raise ConfigFailure(
            FIELD, f"no run of {namespace}/{name} in {storage.uri} left a checkpoint", do="Run it without --resume."
        )
    _, uid, attempt = max(runs)
    own = state / namespace / name / uid
    for held in holders(leases):
        if held.holder and held.holder.job.uid == uid:
            stop = f"pkill -f 'mmaction_trainer.launch {own}/'"
            raise ConfigFailure(
                FIELD,
                f"{held}: that run still trains",
                do=f"Wait for its end; or stop it, which leaves a checkpoint: {stop}",
            )
    folders = own.glob("attempt-*")
    tried = [int(folder.name.partition("-")[2]) for folder in folders]
    return JobIdentity(namespace=namespace, name=name, uid=uid, attempt=max([attempt, *tried]) + 1)
