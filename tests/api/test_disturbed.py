"""Controllers that are disturbed in all ways at once: nothing is doubled, no two act, and all is known afterwards."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.cluster.api_server import ApiServer
from tests.cluster.control_plane import pods_complete, start_control_plane
from tests.cluster.fault_proxy import Link, start_fault_proxy
from tests.cluster.mortal import Mortal

from .conftest import CRD
from .controllers import wait_until
from .disturbing import ENDS, Disturbed, Pod, numbers

WRITES = ["create", "update", "patch", "delete"]
OBJECTS = [
    {"group": "mmaction.dev", "resources": ["trainjobs/status"]},
    {"group": "batch", "resources": ["jobs"]},
    {"group": "", "resources": ["pods", "configmaps", "services"]},
]
"""What a controller writes of jobs."""


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ApiServer, Link, Path]]:
    """A control plane whose way to etcd can be made bad, and the API server's record of who wrote what."""
    folder = tmp_path_factory.mktemp("audit")
    rules = [{"level": "Metadata", "verbs": WRITES, "resources": OBJECTS}, {"level": "None"}]
    policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": rules}
    (folder / "policy.yaml").write_text(yaml.safe_dump(policy))
    options = (f"--audit-policy-file={folder / 'policy.yaml'}", f"--audit-log-path={folder / 'log'}")
    links: list[Link] = []
    with start_fault_proxy() as proxy, pods_complete({ENDS: "well"}) as ending:

        def way(etcd: str) -> str:
            links.append(proxy.link("etcd", etcd, 2379))
            return links[0].endpoint

        with start_control_plane(ending, api_server=options, way=way) as plane:
            plane.server.define(CRD)
            plane.add_fake_nodes(4)
            yield plane.server, links[0], folder / "log"


@pytest.fixture
def disturbed(plane: tuple[ApiServer, Link, Path], tmp_path: Path) -> Disturbed:
    namespace = f"team-{next(numbers)}"
    plane[0].make_namespace(namespace)
    return Disturbed(*plane, namespace, tmp_path)


Start = Callable[[str], Pod]


@pytest.fixture
def start(disturbed: Disturbed) -> Iterator[Start]:
    """Starts controllers, each of an installation, or of none: then it needs no Lease."""
    started: list[Pod] = []

    def start(installation: str) -> Pod:
        started.append(Pod(disturbed, installation))
        return started[-1]

    yield start
    for pod in started:
        pod.process.kill()


def test_of_two_installations_by_mistake_one_acts_and_one_that_stood_still_past_its_lease_does_no_harm(
    disturbed: Disturbed, start: Start
) -> None:
    chance = random.Random(7)
    acts, waits = start("first"), start("second")
    wait_until(lambda: "jobs: " in acts.log.read_text())
    for _ in range(2):
        known = len(disturbed.made)
        submitting = threading.Thread(target=disturbed.submit, args=(10,))
        submitting.start()
        busy = known + chance.randint(1, 9)
        wait_until(lambda busy=busy: len(disturbed.items("/apis/batch/v1/jobs")) >= busy, every=0)
        acts.process.send_signal(signal.SIGSTOP)
        held = disturbed.leader
        submitting.join()
        wait_until(lambda held=held: disturbed.leader != held)
        time.sleep(chance.uniform(0.0, 0.5))
        acts.process.send_signal(signal.SIGCONT)
        acts.process.wait(10)
        acts.start_if_ended()
        acts, waits = waits, acts
    disturbed.submit(4)
    wait_until(lambda: disturbed.phases() == {"Starting"})
    disturbed.check_nothing_is_doubled()
    assert set(disturbed.ports().values()) == {1}
    acts.process.terminate()
    assert acts.process.wait(30) == 0
    disturbed.end()
    writers = disturbed.writers()
    assert len(writers) == len(set(writers)) == 4, "who had led wrote nothing once another one led"


def test_what_two_act_on_at_once_is_made_once_and_shares_no_port_on_a_node(disturbed: Disturbed, start: Start) -> None:
    """Two installations whose namespaces overlap and are not the same hold different Leases: here none at all."""
    start("")
    start("")
    for _ in range(3):
        disturbed.submit(8)
    wait_until(lambda: disturbed.phases() == {"Starting"})
    disturbed.check_nothing_is_doubled()
    disturbed.end()
    writers = disturbed.writers()
    assert len(writers) > len(set(writers)) == 2, "both acted, in turn"


def test_slow_storage_and_an_api_server_that_hangs_double_nothing_and_no_two_lead(
    disturbed: Disturbed, start: Start
) -> None:
    running = [start("first"), start("first")]

    def pass_time(seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for each in running:
                each.start_if_ended()
            time.sleep(0.2)

    def all_run() -> bool:
        pass_time(0.5)
        return disturbed.phases() == {"Starting"}

    wait_until(lambda: disturbed.leader)
    disturbed.submit(6)
    disturbed.etcd.add("latency", latency=1250, jitter=750)
    pass_time(10)
    disturbed.etcd.cut()
    pass_time(20)
    disturbed.etcd.mend()
    disturbed.submit(4)
    wait_until(all_run)
    disturbed.submit(8)
    api_server = Mortal(disturbed.server)
    api_server.hang()
    pass_time(15)
    api_server.go_on()
    wait_until(all_run)
    disturbed.check_nothing_is_doubled()
    assert set(disturbed.ports().values()) == {1}
    disturbed.end()
    writers = disturbed.writers()
    assert len(writers) == len(set(writers)) >= 3, "each that led lost the lead, and wrote nothing after that"
