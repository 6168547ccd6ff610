"""Leases as one process sees them: what they give, what they refuse, and what they say."""

from __future__ import annotations

import fcntl
import math
import socket
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime

import pytest

from mmaction_operator.ports import (
    Held,
    Holder,
    LeaseFolder,
    PortRange,
    choose,
    holders,
    lease_gpus,
    lease_port,
    leases,
    start_of,
)
from mmaction_trainer.contract.errors import ConfigFailure, DeviceFailure, PortFailure
from mmaction_trainer.contract.run import JobIdentity

MakeHolder = Callable[[str], Holder]
GPUS = ("GPU-aaaa", "GPU-bbbb")


def test_two_leases_have_two_ports(folder: LeaseFolder, ports: PortRange, holder: MakeHolder) -> None:
    with lease_port(folder, ports, holder("x")) as one, lease_port(folder, ports, holder("x")) as other:
        assert one.port != other.port


def test_an_attempt_begins_to_look_where_its_rendezvous_id_says(
    folder: LeaseFolder, ports: PortRange, holder: MakeHolder
) -> None:
    for each in map(holder, "abcdef"):
        with lease_port(folder, ports, each) as lease:
            assert lease.port == choose(ports, {}, start=start_of(each.job.rendezvous_id))


def test_a_released_port_can_be_leased_again(folder: LeaseFolder, ports: PortRange, holder: MakeHolder) -> None:
    single = PortRange(ports.first, ports.first)
    for _ in range(3):
        with lease_port(folder, single, holder("x")) as lease:
            assert lease.port == ports.first
        lease.release()  # once more does no harm


def test_a_port_to_avoid_is_not_leased(folder: LeaseFolder, ports: PortRange, holder: MakeHolder) -> None:
    avoid = frozenset(range(ports.first, ports.last))
    with lease_port(folder, ports, holder("x"), avoid=avoid) as lease:
        assert lease.port == ports.last


def test_a_port_under_a_foreign_server_is_skipped_and_reported(
    folder: LeaseFolder, ports: PortRange, holder: MakeHolder
) -> None:
    first_choice = choose(ports, {}, start=start_of(holder("x").job.rendezvous_id))
    with closing(socket.create_server(("127.0.0.1", first_choice))), lease_port(folder, ports, holder("x")) as lease:
        assert lease.skipped == (first_choice,)
        assert lease.port not in (first_choice, None)
        assert [held.which for held in holders(folder)] == [str(lease.port)]
    with lease_port(folder, ports, holder("x")) as lease:
        assert (lease.port, lease.skipped) == (first_choice, ())


def test_an_exhausted_range_names_runs_and_strangers(folder: LeaseFolder, ports: PortRange, holder: MakeHolder) -> None:
    two = PortRange(ports.first, ports.first + 1)
    with lease_port(folder, two, holder("x")) as lease:
        other = two.first if lease.port == two.last else two.last
        with closing(socket.create_server(("127.0.0.1", other))), pytest.raises(PortFailure) as refusal:
            lease_port(folder, two, holder("y"))
    assert f"ports {two}: none of 2 is left" in str(refusal.value)
    assert f"{holder('x')} holds 1" in str(refusal.value)
    assert "something that takes no leases holds 1" in str(refusal.value)
    assert holders(folder) == []


def test_a_range_inside_the_ephemeral_ports_is_refused(
    folder: LeaseFolder, ports: PortRange, holder: MakeHolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "ephemeral_range", lambda: (ports.last, 60999))
    with pytest.raises(ConfigFailure, match="overlaps this machine's ephemeral range"):
        lease_port(folder, ports, holder("x"))


def test_gpus_are_leased_in_the_order_offered(folder: LeaseFolder, holder: MakeHolder) -> None:
    offered = ("GPU-c", "GPU-a", "GPU-b")
    with lease_gpus(folder, 1, offered, holder("x")) as one, lease_gpus(folder, 2, offered, holder("y")) as two:
        assert one.devices == ("GPU-c",)
        assert two.devices == ("GPU-a", "GPU-b")


def test_a_refused_gpu_names_who_holds_it(folder: LeaseFolder, holder: MakeHolder) -> None:
    x = holder("x")
    with lease_gpus(folder, 1, GPUS, x), pytest.raises(DeviceFailure) as refusal:
        lease_gpus(folder, 2, GPUS, holder("y"))
    assert str(refusal.value) == (
        "spec.resources.gpusPerNode: 2 asked for, 1 of 2 free: gpu GPU-aaaa is held by "
        f"team-a/x (pid {x.pid} of {x.user} on {x.host}, since 2026-03-01T12:30:00+00:00). "
        "Wait for it, or ask for fewer."
    )


def test_a_refusal_leaves_the_free_gpus_free(folder: LeaseFolder, holder: MakeHolder) -> None:
    with lease_gpus(folder, 1, GPUS, holder("x")):
        with pytest.raises(DeviceFailure):
            lease_gpus(folder, 2, ("GPU-bbbb", "GPU-aaaa"), holder("y"))
        with lease_gpus(folder, 1, GPUS, holder("z")) as lease:
            assert lease.devices == ("GPU-bbbb",)


@pytest.mark.parametrize(("there", "words"), [((), "this machine shows none"), (("GPU-a", "GPU-a"), "shows 1: GPU-a")])
def test_more_gpus_than_there_are_is_refused_without_waiting(
    folder: LeaseFolder, holder: MakeHolder, there: tuple[str, ...], words: str
) -> None:
    with pytest.raises(DeviceFailure, match=words):
        lease_gpus(folder, 2, there, holder("x"), wait=math.inf)


def test_no_gpus_can_be_leased_where_none_are(folder: LeaseFolder, holder: MakeHolder) -> None:
    with lease_gpus(folder, 0, (), holder("x")) as lease:
        assert (lease.devices, lease.pass_fds) == ((), ())


def test_who_waits_is_told_of_the_holder_and_gets_the_gpu_on_release(folder: LeaseFolder, holder: MakeHolder) -> None:
    first = lease_gpus(folder, 2, GPUS, holder("x"))
    told: list[Sequence[Held]] = []

    def on_wait(held: Sequence[Held]) -> None:
        told.append(held)
        first.release()

    with lease_gpus(folder, 1, GPUS, holder("y"), wait=math.inf, on_wait=on_wait) as lease:
        assert lease.devices == ("GPU-aaaa",)
    assert told == [tuple(Held("gpu", which, holder("x")) for which in GPUS)]


def test_the_wait_ends_and_is_told_of_once_while_nothing_changes(
    folder: LeaseFolder, holder: MakeHolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "POLL", 0.02)
    told: list[Sequence[Held]] = []
    with lease_gpus(folder, 2, GPUS, holder("x")), pytest.raises(DeviceFailure, match="held by team-a/x"):
        lease_gpus(folder, 1, GPUS, holder("y"), wait=0.2, on_wait=told.append)
    assert len(told) == 1


def test_holders_lists_what_is_under_lease_now(folder: LeaseFolder, ports: PortRange, holder: MakeHolder) -> None:
    old_style = "MIG-GPU-b8a6/7/0"
    with (
        lease_port(folder, ports, holder("x")) as port,
        lease_gpus(folder, 1, [old_style], holder("y")),
        lease_gpus(folder, 1, GPUS, holder("z")) as released,
        (folder.path / "notes.lock").open("w") as not_ours,
    ):
        released.release()
        fcntl.flock(not_ours, fcntl.LOCK_EX)
        assert holders(folder) == [
            Held("gpu", old_style, holder("y")),
            Held("port", str(port.port), holder("x")),
        ]
    assert holders(folder) == []


def test_a_holder_that_left_no_name_is_still_a_holder(folder: LeaseFolder, holder: MakeHolder) -> None:
    with lease_gpus(folder, 1, ["GPU-a"], holder("x")):
        (folder.path / "gpu-GPU-a.lock").write_text("{ cut off")
        with pytest.raises(DeviceFailure, match="GPU-a is held by a run that did not say its name"):
            lease_gpus(folder, 1, ["GPU-a"], holder("y"))


def test_a_new_holder_replaces_a_longer_text(folder: LeaseFolder, holder: MakeHolder) -> None:
    lease_gpus(folder, 1, ["GPU-a"], holder("x" * 60)).release()
    with lease_gpus(folder, 1, ["GPU-a"], holder("y")):
        assert holders(folder) == [Held("gpu", "GPU-a", holder("y"))]


def test_a_holder_is_this_process_and_its_user() -> None:
    x = Holder.of(JobIdentity(namespace="n", name="x", uid="u"), datetime(2026, 1, 1, tzinfo=UTC))
    assert (x.host, bool(x.user)) == (socket.gethostname(), True)
    assert f"n/x (pid {x.pid} of {x.user}" in str(x)
