"""Leases of a cluster: no port twice, whatever is leased, given back and restored after a crash."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from mmaction_operator.ports import ClusterLease, PortRange, PortRegistry
from mmaction_trainer.contract.errors import PortFailure


def lease(job: str, attempt: int = 1) -> ClusterLease:
    return ClusterLease(job, attempt, f"default/{job}")


def test_an_attempt_that_asks_again_gets_what_it_has() -> None:
    registry = PortRegistry(PortRange())
    assert registry.lease(lease("a")) == registry.lease(lease("a"))
    assert len(registry.holders()) == 1


def test_the_next_attempt_gets_another_port_and_gives_back_the_old_one() -> None:
    registry = PortRegistry(PortRange())
    first = registry.lease(lease("a", 1))
    second = registry.lease(lease("a", 2))
    assert first != second
    assert list(registry.holders()) == [second]


def test_a_port_to_avoid_is_replaced_even_for_the_same_attempt() -> None:
    registry = PortRegistry(PortRange())
    first = registry.lease(lease("a"))
    assert registry.lease(lease("a"), avoid={first}) != first


def test_a_job_that_is_over_leaves_its_port_to_others() -> None:
    registry = PortRegistry(PortRange(20000, 20000))
    registry.lease(lease("a"))
    with pytest.raises(PortFailure, match="default/a holds 1"):
        registry.lease(lease("b"))
    registry.release("a")
    registry.release("a")
    assert registry.lease(lease("b")) == 20000


def test_of_two_jobs_that_claim_one_port_after_a_crash_one_has_it() -> None:
    registry = PortRegistry(PortRange())
    registry.restore(20005, lease("a"))
    registry.restore(20005, lease("b"))
    assert registry.holders()[20005].job == "a"
    assert registry.lease(lease("b")) != 20005


def test_no_port_is_leased_twice_in_100_000_steps_of_leases_releases_and_crashes() -> None:
    """``record`` is what jobs' statuses say: a lease is written there before anything uses it, or it is lost."""
    steps, chance = 100_000, random.Random(7)
    ports = PortRange(20000, 20199)
    registry, record, attempts = PortRegistry(ports), dict[str, int](), dict[str, int]()
    for step in range(steps):
        job, what = f"job-{chance.randrange(250)}", chance.random()
        if what < 0.55:
            attempts[job] = attempts.get(job, 0) + chance.randrange(2) or 1
            try:
                port = registry.lease(lease(job, attempts[job]))
            except PortFailure:
                assert len(registry.holders()) == len(ports), "ports were left"
                continue
            if chance.random() < 0.97:  # else: crashed before the status was written
                record[job] = port
            else:
                registry = restored(ports, record, attempts)
        elif what < 0.98:
            registry.release(job)
            record.pop(job, None)
        else:
            registry = restored(ports, record, attempts)
        holders = registry.holders()
        assert len(set(record.values())) == len(record), f"step {step}: two jobs have one port on record"
        assert len({held.job for held in holders.values()}) == len(holders), f"step {step}: a job holds two ports"


def restored(ports: PortRange, record: dict[str, int], attempts: dict[str, int]) -> PortRegistry:
    registry = PortRegistry(ports)
    for job, port in record.items():
        registry.restore(port, lease(job, attempts[job]))
    return registry


def test_threads_that_lease_at_once_get_different_ports() -> None:
    registry = PortRegistry(PortRange())
    with ThreadPoolExecutor(16) as pool:
        ports = list(pool.map(lambda number: registry.lease(lease(f"job-{number}")), range(2000)))
    assert len(set(ports)) == 2000
