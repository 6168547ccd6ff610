"""Controllers to be disturbed, and what is to be seen of it.

Each process has a user of its own, so that the API server's audit log has who wrote what and when.
"""

from __future__ import annotations

import itertools
import json
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmaction_operator.plan import names
from tests.cluster.api_server import ApiServer
from tests.cluster.fault_proxy import Link
from tests.trainjob_cases import changed

from .conftest import jobs
from .controllers import start_controller, wait_until

ENDS = "ends"
"""Label of pods that succeed, once a test has given it to them: until then they run."""
PORTS = "20000-20029"
"""So few that the first choice of one job is often another's."""
numbers = itertools.count()
"""Parts of names that nobody else has."""


@dataclass
class Pod:
    """A controller as its kubelet runs it: one that ends is started again, here under a user of its own."""

    disturbed: Disturbed
    installation: str
    name: str = field(default_factory=lambda: f"pod-{next(numbers)}")
    process: subprocess.Popen[bytes] = field(init=False)
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Start it, with both Leases that the chart would give it; of no installation, with none."""
        user, server, place = f"controller-{next(numbers)}", self.disturbed.server, self.disturbed.namespace
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
        """Who holds the Lease of the jobs, in the Lease's words; empty for nobody."""
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
