"""Elections by a real Lease, between processes of which one is killed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from mmaction_operator.kube import Client, Key
from mmaction_operator.kube.leader import LEASES
from tests.api.kube.electing import TIMES
from tests.cluster.api_server import ApiServer

LEASE = "lease"
Elect = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def elect(server: ApiServer, namespace: str) -> Iterator[Elect]:
    """Starts a process that takes part."""
    with ExitStack() as stack:

        def elect(identity: str) -> subprocess.Popen[str]:
            words = [
                sys.executable,
                "-m",
                "tests.api.kube.electing",
                str(server.kubeconfig),
                namespace,
                "lease",
                identity,
            ]
            process = stack.enter_context(
                subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            stack.callback(process.kill)
            said(process, "is there")
            return process

        yield elect


def said(process: subprocess.Popen[str], words: str) -> float:
    """Wait until a process says something; the time."""
    assert process.stdout
    assert process.stdout.readline() == f"{words}\n"
    return time.monotonic()


def test_when_the_leader_is_killed_another_leads_once_the_lease_has_run_out(
    client: Client, namespace: str, elect: Elect
) -> None:
    first = elect("first")
    said(first, "leads")
    second = elect("second")
    time.sleep(1)  # the second has seen the lease, and the first has renewed it
    first.kill()
    killed = time.monotonic()
    after = said(second, "leads") - killed
    assert TIMES.duration - TIMES.retry * 1.2 - 0.5 < after < TIMES.duration + 2
    spec = client.get(LEASES, Key(namespace, LEASE))["spec"]
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("second", 2)


def test_when_the_leader_ends_in_order_another_leads_at_once(client: Client, namespace: str, elect: Elect) -> None:
    first = elect("first")
    said(first, "leads")
    second = elect("second")
    time.sleep(1)
    assert first.stdin
    first.stdin.close()
    ended = time.monotonic()
    assert said(second, "leads") - ended < TIMES.duration - TIMES.retry * 1.2 - 0.5
    assert first.wait(5) == 0
