"""How many jobs a second become running pods: TrainJobs beside plain Jobs, which are the limit.

    python -m bench.control_plane [--jobs 1000] [--record]

Each case has a control plane of its own (etcd, API server, scheduler, Job controller) with nodes that KWOK plays, and
nothing else on the machine. A client creates the objects as fast as it can; a watch tells when each one's training
pods run. Training pods run on and never end; preflight pods end with success as soon as they run.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from mmaction_operator.api import parse
from mmaction_operator.controller.resources import JOBS, PODS, TRAINJOBS
from mmaction_operator.kube import Client, Connection, Crew, Informer, Resource, Selection, TokenBucket
from mmaction_operator.plan import Settings, names, objects_of
from mmaction_operator.render import render
from tests.cluster.chart import CRD, account_of_chart
from tests.cluster.control_plane import ControlPlane, pods_complete, start_control_plane
from tests.cluster.process import Process, marked, running
from tests.cluster.programs import MODULE

from .measured import RECORDS, arguments, cpu_milliseconds, peak_memory, percentiles, recorded, tell

ROOT = Path(__file__).parents[1]
NAMESPACE, IMAGE = "default", "trainer:bench"
GPUS_OF_NODE = 8
PREFLIGHTS = {names.ATTEMPT: str(names.PREFLIGHT)}
"""Labels of the pods that check."""
CREATING = 8
"""Requests of the client that are under way at once."""
SETTLING = 3.0
"""Seconds for what is still to be said of jobs that run, and between looks; what that costs is counted."""
LONGEST, TELL = 600.0, 5.0
"""Seconds that a case may take, and between two lines about it."""

Object = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """What is measured.

    Attributes:
        resource: what the client creates.
        manifest: one of them, by its name.
    """

    name: str
    resource: Resource
    manifest: Callable[[str], Object]

    @property
    def controlled(self) -> bool:
        """Whether our controller has to run."""
        return self.resource is TRAINJOBS


def train_job(name: str, *, preflight: bool) -> Object:
    """A TrainJob for one GPU."""
    return {
        "apiVersion": TRAINJOBS.api_version,
        "kind": TRAINJOBS.kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "model": {"config": "slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb"},
            "dataset": {"uri": "s3://datasets/ucf101", "format": "ucf101"},
            "resources": {"gpusPerNode": 1},
            "storage": {"uri": "s3://results/team-a", "credentialsSecret": "s3-credentials"},
            "preflight": preflight,
        },
    }


def plain_job(name: str) -> Object:
    """The Job that our controller makes for that TrainJob, without an owner."""
    stored = train_job(name, preflight=False)
    stored["metadata"] |= {"uid": name, "generation": 1}
    job = parse(stored)
    made = objects_of(job, render(job), 1, 20000, Settings(trainer_image=IMAGE))
    (plain,) = [item for item in made if item["kind"] == JOBS.kind]
    del plain["metadata"]["ownerReferences"]
    return plain


def plain_jobs() -> Callable[[str], Object]:
    """``plain_job`` without rendering a config for each."""
    text = json.dumps(plain_job("a-name-to-replace"))
    return lambda name: json.loads(text.replace("a-name-to-replace", name))


CASES = (
    Case("plain Jobs", JOBS, plain_jobs()),
    Case("TrainJobs", TRAINJOBS, lambda name: train_job(name, preflight=True)),
    Case("TrainJobs without preflight", TRAINJOBS, lambda name: train_job(name, preflight=False)),
)


class Watching:
    """Notes when the training pod of each job runs."""

    def __init__(self, client: Client, expected: int) -> None:
        self.expected = expected
        self.seen: dict[str, float] = {}
        labels = f"{names.JOB},{names.ATTEMPT}!={names.PREFLIGHT}"
        self.pods = Informer(client, PODS, labels=labels, fields="status.phase=Running", trim=only_metadata)
        self.pods.on_change(self._changed)
        self.crew = Crew()
        self.pods.start(self.crew)

    def _changed(self, _: Object | None, new: Object | None) -> None:
        if new:
            self.seen.setdefault(new["metadata"]["labels"][names.JOB], time.monotonic())

    def wait(self) -> None:
        """Wait until all run, telling how many do.

        Raises:
            TimeoutError: they did not all run in time.
        """
        deadline = time.monotonic() + LONGEST
        told = time.monotonic()
        while len(self.seen) < self.expected and not self.crew.failure:
            time.sleep(0.05)
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {LONGEST:.0f} s only {len(self.seen)} of {self.expected} jobs run")
            if time.monotonic() > told + TELL:
                told = time.monotonic()
                print(f"  {len(self.seen)} of {self.expected} run", file=sys.stderr)
        self.crew.stopping.set()
        self.pods.stop()
        if self.crew.failure:
            raise self.crew.failure


def only_metadata(item: Object) -> Object:
    """What of a pod is kept."""
    return {"metadata": item["metadata"]}


@contextmanager
def controller(plane: ControlPlane) -> Iterator[tuple[Process, str]]:
    """Our controller with the privileges that its chart gives it, and where it answers."""
    words = [sys.executable, "-m", "mmaction_operator.controller.start", "--trainer-image", IMAGE, "--port", "0"]
    command = ["env", f"KUBECONFIG={account_of_chart(plane.server, NAMESPACE)}", f"PYTHONPATH={ROOT}", *words]
    with running("controller", command, plane.server.folder) as process:
        answering = re.compile(r"answering HTTP at port (\d+)")
        process.wait_until(lambda: answering.search(process.log.read_text()) is not None)
        found = answering.search(process.log.read_text())
        assert found
        url = f"http://127.0.0.1:{found[1]}"
        process.wait_until(lambda: is_ready(url))
        yield process, url


def is_ready(url: str) -> bool:
    """Whether the controller says so."""
    try:
        with urlopen(f"{url}/readyz") as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def run(case: Case, jobs: int) -> dict[str, Any]:
    """Measure one case in a control plane of its own."""
    with ExitStack() as stack:
        plane = stack.enter_context(start_control_plane(stack.enter_context(pods_complete(PREFLIGHTS))))
        plane.server.define(CRD)
        plane.add_fake_nodes(-(-jobs // GPUS_OF_NODE), gpus=GPUS_OF_NODE)
        plane.server.kubectl("wait", "--for=condition=Ready", "--timeout=120s", "nodes", "--all")
        ours = stack.enter_context(controller(plane)) if case.controlled else None
        time.sleep(5)  # what the start set off is over
        connection = Connection.load(plane.server.kubeconfig, user_agent="bench")
        client = Client(connection=connection, field_manager="bench", limit=TokenBucket(10_000, 10_000))
        watching = Watching(client, jobs)
        manifests = {name: case.manifest(name) for name in (f"job-{number}" for number in range(jobs))}

        asked, spent, own = requests(plane), cpu_milliseconds(marked(plane.server.folder)), time.process_time()
        begin = time.monotonic()
        created: dict[str, float] = {}

        def create(name: str) -> None:
            client.create(case.resource, manifests[name])
            created[name] = time.monotonic()

        with ThreadPoolExecutor(CREATING) as pool:
            list(pool.map(create, manifests))
        created_all = time.monotonic() - begin
        watching.wait()
        seconds = max(watching.seen.values()) - begin
        settle(client, case)
        used = cpu_milliseconds(marked(plane.server.folder)) - spent
        made = requests(plane) - asked
        measured: dict[str, Any] = {
            "jobsPerSecond": round(jobs / seconds, 1),
            "seconds": round(seconds, 1),
            "secondsToCreate": round(created_all, 1),
            "latencySeconds": percentiles(watching.seen[name] - created[name] for name in created),
            "cpuMsPerJob": round(used.total() / jobs, 1),
            "cpuMsPerJobByProgram": {name: round(spent / jobs, 1) for name, spent in used.most_common()},
            "clientCpuMsPerJob": round(1000 * (time.process_time() - own) / jobs, 1),
            "requestsPerJob": round(made.total() / jobs, 1),
            "requestsPerJobByKind": per_job(made, jobs),
        }
        if ours:
            process, url = ours
            told = metrics_of(url)
            measured["controller"] = {
                "peakMemoryMiB": round(peak_memory(process.pid) / 2**20),
                "reconcilesPerJob": round(total(told, "mmaction_operator_reconciles") / jobs, 1),
                "requestsPerJob": per_job(counted(told, "mmaction_operator_api_requests"), jobs),
            }
        return measured


def compare(measured: dict[str, dict[str, Any]]) -> None:
    """Add to each case what it is beside plain Jobs in the same run, as machines differ and change."""
    if limit := measured.get(CASES[0].name):
        for case in measured.values():
            shares = {name: round(case[name] / limit[name], 2) for name in ("jobsPerSecond", "cpuMsPerJob")}
            case["ofPlainJobs"] = shares


def per_job(counts: Counter[str], jobs: int) -> dict[str, float]:
    """Counts for each job, the largest first, without those that do not grow with the jobs."""
    return {name: round(count / jobs, 2) for name, count in counts.most_common() if count >= jobs / 20}


def settle(client: Client, case: Case) -> None:
    """Wait until every TrainJob's status says that it runs: work that is put off counts like work done at once.

    Raises:
        TimeoutError: one does not say so.
    """
    time.sleep(SETTLING)
    deadline = time.monotonic() + LONGEST
    while case.controlled and (silent := not_said(client)):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(silent)} jobs run, and their status does not say so: {silent[0]} ...")
        time.sleep(SETTLING)


def not_said(client: Client) -> list[str]:
    """Names of the TrainJobs whose status does not say that they run."""
    found = []
    for job in client.list(TRAINJOBS, Selection(namespace=NAMESPACE)).objects:
        conditions = {item["type"]: item["status"] for item in job.get("status", {}).get("conditions", ())}
        if conditions.get("Running") != "True":
            found.append(job["metadata"]["name"])
    return found


def requests(plane: ControlPlane) -> Counter[str]:
    """What the API server was asked so far, by verb and resource; without the heartbeats of nodes."""
    text = plane.server.request("GET", "/metrics").body["message"]
    return counted(text, "apiserver_request", but=("leases", ""))


def metrics_of(url: str) -> str:
    """What our controller tells Prometheus."""
    with urlopen(f"{url}/metrics") as answer:
        return str(answer.read().decode())


def samples(text: str, counter: str) -> Iterator[Sample]:
    """A counter's samples in Prometheus' text format."""
    families = (family for family in text_string_to_metric_families(text) if family.name == counter)
    return (sample for family in families for sample in family.samples if sample.name == f"{counter}_total")


def total(text: str, counter: str) -> float:
    """A counter, all labels together."""
    return sum(sample.value for sample in samples(text, counter))


def counted(text: str, counter: str, *, but: Sequence[str] = ()) -> Counter[str]:
    """A counter of requests, by verb and resource, without some resources."""
    found: Counter[str] = Counter()
    for sample in samples(text, counter):
        if sample.labels["resource"] not in but:
            what = "/".join(filter(None, (sample.labels["resource"], sample.labels.get("subresource"))))
            found[f"{sample.labels['verb'].lower()} {what}"] += int(sample.value)
    return found


def versions() -> dict[str, str]:
    """Of the components, from the module that they are built of."""
    text = (MODULE / "go.mod").read_text()
    wanted = {"k8s.io/kubernetes": "Kubernetes", "go.etcd.io/etcd/server/v3": "etcd", "sigs.k8s.io/kwok": "KWOK"}
    found = dict(re.findall(r"^\s*(?:require )?(\S+) (v\S+)", text, re.MULTILINE))
    return {name: found[module] for module, name in wanted.items() if module in found}


SETTINGS = {
    "kube-controller-manager": "--kube-api-qps=1000 --kube-api-burst=2000 --concurrent-job-syncs=20",
    "kube-scheduler": "--kube-api-qps=1000 --kube-api-burst=2000",
    "etcd": "--unsafe-no-fsync",
    "KWOK": "pods run at once and do not end; preflight pods end at once",
}


def record(jobs: int, only: str | None) -> dict[str, Any]:
    """Measure every case, or only this one."""
    measured = {}
    for case in CASES:
        if only in (None, case.name):
            print(f"{case.name}: {jobs}", file=sys.stderr)
            measured[case.name] = run(case, jobs)
    compare(measured)
    return {"jobs": jobs, "settings": SETTINGS, "cases": measured}


def main() -> None:
    """Measure; print the figures, and with ``--record`` write them down."""
    parser = arguments(__doc__)
    parser.add_argument("--jobs", type=int, default=1000, help="how many (default: 1000)")
    parser.add_argument("--case", choices=[case.name for case in CASES], help="only this one")
    options = parser.parse_args()
    found = recorded(lambda: record(options.jobs, options.case))
    tell({**found, "versions": versions()}, RECORDS / "control-plane.json", keep=options.record)


if __name__ == "__main__":
    main()
