"""Ranks of one job find each other; a stranger in the world is refused by all."""

from __future__ import annotations

import multiprocessing
from datetime import timedelta

import pytest
import torch.distributed as dist

from mmaction_trainer.contract.errors import IdentityFailure
from mmaction_trainer.contract.run import JobIdentity
from mmaction_trainer.runtime import identity

OURS = JobIdentity(namespace="default", name="ours", uid="uid-a", attempt=2)
THEIRS = JobIdentity(namespace="default", name="theirs", uid="uid-b", attempt=2)


@pytest.fixture
def server() -> dist.TCPStore:
    return dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)


def a_rank(port: int, job: JobIdentity, number: int, world_size: int) -> str:
    """What one rank ends with: "" or the failure."""
    store = dist.TCPStore("127.0.0.1", port, is_master=False, timeout=timedelta(seconds=5))
    try:
        identity.prove(job, store, rank=number, world_size=world_size)
    except IdentityFailure as failure:
        return str(failure)
    return ""


def a_world(server: dist.TCPStore, jobs: list[JobIdentity], *, world_size: int | None = None) -> list[str]:
    """What each rank of a world of these jobs ends with. Ranks are processes: a store keeps the interpreter's lock."""
    with multiprocessing.get_context("fork").Pool(len(jobs)) as ranks:
        told = [(server.port, job, number, world_size or len(jobs)) for number, job in enumerate(jobs)]
        return ranks.starmap(a_rank, told, chunksize=1)


def test_ranks_of_one_attempt_pass(server: dist.TCPStore) -> None:
    assert a_world(server, [OURS, OURS, OURS]) == ["", "", ""]


def test_every_rank_refuses_a_world_with_a_rank_of_another_job(server: dist.TCPStore) -> None:
    endings = a_world(server, [OURS, THEIRS])
    assert "rank 1 says default/theirs (uid uid-b, attempt 2)" in endings[0]
    assert "rank 0 says default/ours (uid uid-a, attempt 2)" in endings[1]


def test_a_rank_of_an_earlier_attempt_of_the_same_job_is_a_stranger(server: dist.TCPStore) -> None:
    assert all(a_world(server, [OURS, OURS.model_copy(update={"attempt": 1})]))


def test_a_rank_that_does_not_say_whose_it_is_is_refused(server: dist.TCPStore) -> None:
    (ending,) = a_world(server, [OURS], world_size=2)
    assert "ranks [1] of 2 did not say whose they are" in ending
