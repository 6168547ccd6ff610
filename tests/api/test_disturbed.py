"""Controllers that are disturbed in all ways at once: nothing is doubled, no two act, and all is known afterwards.

Each controller has a user of its own, so that the API server's audit log has who wrote what and when.
"""

from __future__ import annotations

import itertools
import json
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from mmaction_operator.plan import names
from tests.cluster.api_server import ApiServer
from tests.cluster.control_plane import pods_complete, start_control_plane
from tests.cluster.fault_proxy import Link, start_fault_proxy
from tests.cluster.mortal import Mortal
from tests.trainjob_cases import changed

from .conftest import CRD, jobs
from .controllers import start_controller, wait_until

ENDS = "ends"
"""Label of pods that succeed, once a test has given it to them: until then they run."""
PORTS = "20000-20029"
"""So few that the first choice of one job is often another's."""
WRITES = ["create", "update", "patch", "delete"]
OBJECTS = [
    {"group": "mmaction.dev", "resources": ["trainjobs/status"]},
    {"group": "batch", "resources": ["jobs"]},
    {"group": "", "resources": ["pods", "configmaps", "services"]},
]
"""What a controller writes of jobs."""

_numbers = itertools.count()


@dataclass
class Pod:
    """A controller as its kubelet runs it: one that ends is started again, here under a user of its own."""

    disturbed: Disturbed
    installation: str
    name: str = field(default_factory=lambda: f"pod-{next(_numbers)}")
    process: subprocess.Popen[bytes] = field(init=False)
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Start it, with both Leases that the chart would give it; of no installation, with none."""
        user, server, place = f"controller-{next(_numbers)}", self.disturbed.server, self.disturbed.namespace
        self.log = self.disturbed.folder / user
        config = server.kubeconfig_for(user, server.authority.issue(user, user=user, group="system:masters"))
        leases = f"{place}/{self.installation},{place}/jobs" if self.installation else ""
        more = (f"--leases={leases}", f"--namespaces={place}", f"--ports={PORTS}")
        self.process = start_controller(config, self.log, *more, pod=self.name)

    def start_if_ended(self) -> None:
        """What a kubelet does; of itself a controller ends for one reason alone."""
        if self.process.poll() is not None:
            said = self.log.read_text()
            assert self.process.returncode == 1, said
            assert "not renewed in time" in said or "holds it now" in said, said
            self.start()


@dataclass
class Disturbed:
    """A namespace of a control plane that is disturbed."""

    server: ApiServer
    etcd: Link
    audit: Path
    namespace: str
    folder: Path
    made: list[str] = field(default_factory=list)

    def submit(self, count: int) -> None:
        """So many jobs, all at once, whose pods use their nodes' network."""
        manifests = []
        for _ in range(count):
            manifest = changed({"spec.preflight": False, "spec.pods": {"hostNetwork": True}})
            self.made.append(f"job-{len(self.made)}")
            manifest["metadata"] |= {"name": self.made[-1], "namespace": self.namespace}
            manifests.append(manifest)
        self.server.apply(*manifests)

    def items(self, path: str) -> list[dict[str, Any]]:
        """Objects of a kind in the namespace."""
        group, kind = path.rsplit("/", 1)
        items: list[dict[str, Any]] = self.server.request(
            "GET", f"{group}/namespaces/{self.namespace}/{kind}?labelSelector={names.JOB.replace('/', '%2F')}"
        ).body["items"]
        return items

    def phases(self) -> set[str]:
        """Phases of all jobs."""
        found = self.server.request("GET", jobs(self.namespace)).body["items"]
        return {item.get("status", {}).get("phase", "") for item in found}

    @property
    def leader(self) -> str:
        """Who holds the Lease of the jobs, by the name of its process's user; empty for nobody."""
        path = f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/jobs"
        return str(self.server.request("GET", path).body.get("spec", {}).get("holderIdentity") or "")

    def writers(self) -> list[str]:
        """Which controllers wrote of this namespace's jobs, in the order of their writes, repeats left out."""
        entries = [json.loads(line) for line in self.audit.read_text().splitlines()]
        written = [
            (entry["requestReceivedTimestamp"], entry["user"]["username"])
            for entry in entries
            if entry["objectRef"].get("namespace") == self.namespace
            and entry["user"]["username"].startswith("controller-")
        ]
        return [name for name, _ in itertools.groupby(name for _, name in sorted(written))]

    def check_nothing_is_doubled(self) -> None:
        """One Job for each, and no port twice on a node, while all attempts are there."""
        made = Counter(job["metadata"]["labels"][names.JOB] for job in self.items("/apis/batch/v1/jobs"))
        assert made == Counter(self.made)
        at = Counter(
            (pod["spec"].get("nodeName"), pod["spec"]["containers"][0]["ports"][0]["hostPort"])
            for pod in self.items("/api/v1/pods")
        )
        assert set(at.values()) == {1}

    def ports(self) -> Counter[str]:
        """How often each port is an attempt's."""
        return Counter(job["metadata"]["annotations"][names.PORT] for job in self.items("/apis/batch/v1/jobs"))

    def end(self) -> None:
        """Let all pods end, and see each job succeed at its first attempt, at the port that its Job has."""
        self.server.kubectl("label", "pods", "--all", f"--namespace={self.namespace}", f"{ENDS}=well")
        wait_until(lambda: self.phases() == {"Succeeded"}, within=90)
        ports = {
            job["metadata"]["labels"][names.JOB]: int(job["metadata"]["annotations"][names.PORT])
            for job in self.items("/apis/batch/v1/jobs")
        }
        for item in self.server.request("GET", jobs(self.namespace)).body["items"]:
            status = item["status"]
            conditions = {c["type"]: c["status"] for c in status["conditions"]}
            assert (status["attempt"], status["failures"], status["port"]) == (1, [], ports[item["metadata"]["name"]])
            assert (conditions["Running"], conditions["Complete"]) == ("False", "True")


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
    namespace = f"team-{next(_numbers)}"
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

    with ExitStack() as stack:
        stack.callback(lambda: [pod.process.kill() for pod in started])
        yield start


def test_of_two_installations_by_mistake_one_acts_and_one_that_stood_still_past_its_lease_does_no_harm(
    disturbed: Disturbed, start: Start
) -> None:
    chance = random.Random(7)
    acts, waits = start("first"), start("second")
    wait_until(lambda: "jobs: " in acts.log.read_text())
    for _ in range(2):
        disturbed.submit(10)
        time.sleep(chance.uniform(0.0, 0.8))
        acts.process.send_signal(signal.SIGSTOP)
        held = disturbed.leader
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

    disturbed.submit(6)
    disturbed.etcd.add("latency", latency=1250, jitter=750)
    pass_time(15)
    disturbed.etcd.cut()
    pass_time(20)
    disturbed.etcd.mend()
    wait_until(all_run)
    disturbed.submit(12)
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
