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
    registry = PortRegistry(PortRange(20000, 20001))
    first = registry.lease(lease("a"))
    second = registry.lease(lease("b"))
    registry.release("a")
    registry.release("a")
    assert registry.lease(lease("c")) == first
    assert {port: [held.job for held in leases] for port, leases in registry.holders().items()} == {
        first: ["c"],
        second: ["b"],
    }


def test_once_all_are_leased_those_that_the_fewest_hold_are_leased_again() -> None:
    registry = PortRegistry(PortRange(20000, 20002))
    ports = [registry.lease(lease(f"job-{number}")) for number in range(8)]
    assert sorted(ports[:3]) == sorted(ports[3:6]) == [20000, 20001, 20002]
    assert len(set(ports[6:])) == 2
    assert registry.lease(lease("job-0")) == ports[0]
    registry.release("job-0")
    assert [held.job for held in registry.holders()[ports[0]]] == [
        f"job-{n}" for n in range(1, 8) if ports[n] == ports[0]
    ]


def test_a_job_that_met_trouble_on_every_port_is_told() -> None:
    registry = PortRegistry(PortRange(20000, 20001))
    assert registry.lease(lease("a"), avoid={20000}) == 20001
    with pytest.raises(PortFailure, match="the job met trouble on all 2"):
        registry.lease(lease("a"), avoid={20000, 20001})
    assert list(registry.holders()) == [20001]


def test_two_jobs_that_share_a_port_on_record_share_it_after_a_crash() -> None:
    registry = PortRegistry(PortRange())
    registry.restore(20005, lease("a"))
    registry.restore(20005, lease("b"))
    assert registry.lease(lease("a")) == registry.lease(lease("b")) == 20005
    assert registry.lease(lease("c")) != 20005


@pytest.mark.parametrize("jobs", [190, 250], ids=["fewer jobs than ports", "more jobs than ports"])
def test_no_port_is_leased_twice_while_one_is_free_in_100_000_steps_of_leases_releases_and_crashes(jobs: int) -> None:
    """``record`` is what jobs' statuses say: a lease is written there before anything uses it, or it is lost."""
    steps, chance = 100_000, random.Random(7)
    ports = PortRange(20000, 20199)
    registry, record, attempts = PortRegistry(ports), dict[str, int](), dict[str, int]()
    shared = 0
    for step in range(steps):
        job, what = f"job-{chance.randrange(jobs)}", chance.random()
        if what < 0.7:
            attempts[job] = attempts.get(job, 0) + chance.randrange(2) or 1
            before = registry.holders()
            port = registry.lease(lease(job, attempts[job]))
            others = {held.job for held in before.get(port, ())}
            if others - {job} and job not in others:
                shared += 1
                assert len(before) == len(ports), f"step {step}: {port} is shared, and others are free"
                assert len(others) == min(map(len, before.values())), f"step {step}: others are shared by fewer"
            if chance.random() < 0.97:  # else: crashed before the status was written
                record[job] = port
            else:
                registry = restored(ports, record, attempts)
        elif what < 0.99:
            registry.release(job)
            record.pop(job, None)
        else:
            registry = restored(ports, record, attempts)
        holders = [held.job for leases in registry.holders().values() for held in leases]
        assert len(set(holders)) == len(holders), f"step {step}: a job holds two ports"
        assert shared or len(set(record.values())) == len(record), f"step {step}: two jobs have one port on record"
    assert bool(shared) == (jobs > len(ports))


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
