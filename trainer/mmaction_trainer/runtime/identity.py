"""No two jobs train as one: every rank says whose it is before the process group forms.

Two torchruns that meet on one endpoint with one rendezvous id become one world, and both exit 0 with the weights of
neither. A leased port, an id of its own for every attempt and the launchers' handshake keep jobs apart; this is the
last line, inside the world itself. Each rank writes its job's UID and attempt into the world's store, waits for every
other rank to do the same, and fails closed if one is a stranger or stays silent.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta

import torch.distributed as dist

from mmaction_trainer.contract.errors import IdentityFailure
from mmaction_trainer.contract.run import JobIdentity

ANSWER_WITHIN = timedelta(seconds=180)
"""How long a rank may take from rendezvous to saying who it is: the start of a Python process."""


def world_store(timeout: timedelta = ANSWER_WITHIN) -> dist.TCPStore:
    """A client of the store that torchrun hosts for this world, on the leased port."""
    return dist.TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False, timeout=timeout)


def prove(job: JobIdentity, store: dist.Store, *, rank: int, world_size: int) -> None:
    """Say who this rank is, and see that every rank of the world is of the same job and attempt.

    Raises:
        IdentityFailure: a rank belongs to another job or attempt, or does not say whose it is.
    """
    store.set(_key(rank), str(job))
    try:
        claims = {other: store.get(_key(other)).decode() for other in range(world_size)}
    except (RuntimeError, dist.DistStoreError) as error:
        silent = [other for other in range(world_size) if not store.check([_key(other)])]
        raise IdentityFailure(
            "rendezvous", f"ranks {silent} of {world_size} did not say whose they are ({type(error).__name__})"
        ) from None
    check(job, claims)


def check(job: JobIdentity, claims: Mapping[int, str]) -> None:
    """Refuse a world that holds a stranger.

    Raises:
        IdentityFailure: names the job that this one met.
    """
    strangers = {rank: claim for rank, claim in claims.items() if claim != str(job)}
    if strangers:
        rank, claim = next(iter(strangers.items()))
        raise IdentityFailure(
            "rendezvous",
            f"{len(strangers)} of {len(claims)} ranks belong to another job: rank {rank} says {claim}",
            accepted=f"ranks of {job} alone",
            do="Two jobs were given one port and one rendezvous id; nothing was trained.",
        )


def _key(rank: int) -> str:
    return f"mmaction/identity/{rank}"
