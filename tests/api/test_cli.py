"""The command line against a real API server; what a controller and a trainer would write, the tests write."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from mmaction_operator.api import parse
from mmaction_operator.plan import names
from mmaction_operator.render import Rendered, render
from mmaction_trainer.contract.errors import ConfigFailure, DataFailure, StorageFailure
from mmaction_trainer.contract.run import JobIdentity
from mmaction_trainer.storage import open_storage, publish
from tests.cluster.api_server import ApiServer, start_api_server
from tests.cluster.programs import program
from tests.cluster.s3 import S3Server
from tests.trainjob_cases import changed

from .conftest import jobs

NAME = "slowfast-ucf101"
MAIN = "from mmaction_operator.cli import main; main()"
WITHOUT_KUBERNETES = f"import sys; sys.modules['kubernetes'] = None; {MAIN}"
MERGE = {"Content-Type": "application/merge-patch+json"}
LONG_AGO = "2026-01-01T00:00:00Z"


def condition(kind: str, status: str, reason: str, message: str = "", at: str = LONG_AGO) -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": at}


RENDERED = condition("Validated", "True", "Rendered")
COMPLETE = condition("Complete", "True", "Succeeded", "results are in s3://results/x")
FAILED = condition("Failed", "True", "Data", "attempt 1 failed (pod x-1-0): train.txt:3: no such video")


def manifest(changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """The smallest job that nothing is to be said against, with changes."""
    return changed({"spec.training.lr": 0.005, **(changes or {})})


@dataclass
class Shell:
    """A user's shell: a folder of job files, a kubeconfig, and nothing of this machine's AWS settings."""

    folder: Path
    server: ApiServer
    namespace: str
    environment: dict[str, str] = field(default_factory=dict)

    def file(self, changes: dict[str, Any] | None = None) -> Path:
        """A job file."""
        path = self.folder / "job.yaml"
        path.write_text(yaml.safe_dump(manifest(changes)))
        return path

    def start(self, *words: str | Path, code: str = MAIN, output: int = subprocess.PIPE) -> subprocess.Popen[str]:
        """Start ``trainjob`` with these words; ``output`` is where it prints."""
        command = [sys.executable, "-c", code, *map(str, words)]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "KUBE"))}
        aws = dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), "/dev/null")
        fixed = {"AWS_EC2_METADATA_DISABLED": "true", "TERM": "xterm"}
        environment = {**kept, **aws, **fixed, **self.environment}
        return subprocess.Popen(
            command, env=environment, cwd=self.folder, stdout=output, stderr=subprocess.STDOUT, text=True
        )

    def run(self, *words: str | Path, code: str = MAIN) -> tuple[int, str]:
        """Exit code and output of ``trainjob``."""
        process = self.start(*words, code=code)
        output, _ = process.communicate(timeout=120)
        return process.returncode, output

    def submit(self, changes: dict[str, Any] | None = None) -> dict[str, Any]:
        """Submit a job that is right; the stored object."""
        code, output = self.run("submit", self.file(changes))
        assert code == 0, output
        return self.stored()

    def stored(self, name: str = NAME) -> dict[str, Any]:
        """A job as the API server has it."""
        answer = self.server.request("GET", f"{jobs(self.namespace)}/{name}")
        assert answer.status == 200, answer.body
        return answer.body

    def say(self, status: dict[str, Any], name: str = NAME) -> None:
        """Write a job's status, as a controller does."""
        path = f"{jobs(self.namespace)}/{name}/status?fieldValidation=Strict"
        answer = self.server.request("PATCH", path, {"status": status}, **MERGE)
        assert answer.status == 200, answer.body

    def kubeconfig(self, name: str, **changes: Any) -> Path:
        """The administrator's kubeconfig with this test's namespace, and changes."""
        content = yaml.safe_load(self.server.kubeconfig.read_text())
        content["contexts"][0]["context"]["namespace"] = self.namespace
        path = self.folder / name
        path.write_text(yaml.safe_dump(content | changes))
        return path


@pytest.fixture
def shell(server: ApiServer, namespace: str, tmp_path: Path) -> Shell:
    """A shell whose kubeconfig names a namespace that no other test uses."""
    shell = Shell(tmp_path, server, namespace)
    shell.environment["KUBECONFIG"] = str(shell.kubeconfig("config"))
    return shell


@pytest.fixture(scope="module")
def bare() -> Iterator[ApiServer]:
    """A cluster where the operator is not installed."""
    with start_api_server() as server:
        yield server


def test_a_job_is_created_then_unchanged_then_configured(shell: Shell) -> None:
    assert shell.run("submit", shell.file()) == (0, f"trainjob.mmaction.dev/{NAME} created\n")
    assert shell.stored()["spec"]["dataset"]["uri"] == "s3://datasets/ucf101"
    assert shell.run("submit", shell.file()) == (0, f"trainjob.mmaction.dev/{NAME} unchanged\n")
    labelled = shell.file({"metadata.labels": {"team": "a"}})
    assert shell.run("submit", labelled) == (0, f"trainjob.mmaction.dev/{NAME} configured\n")
    assert shell.stored()["metadata"]["labels"] == {"team": "a"}
    (fields,) = shell.stored()["metadata"]["managedFields"]
    assert (fields["manager"], fields["operation"]) == ("trainjob", "Apply")


def test_a_job_that_kubectl_applied_is_unchanged(shell: Shell) -> None:
    shell.server.kubectl("apply", "--server-side", "--namespace", shell.namespace, "-f", shell.file())
    assert shell.run("submit", shell.file()) == (0, f"trainjob.mmaction.dev/{NAME} unchanged\n")


def test_a_job_that_is_over_is_not_run_again_and_that_is_said(shell: Shell) -> None:
    shell.submit()
    shell.say({"phase": "Succeeded", "conditions": [RENDERED, COMPLETE]})
    code, output = shell.run("submit", shell.file(), "--watch")
    assert code == 0
    assert "unchanged" in output
    assert f"{NAME} is over (Succeeded); to train it anew, submit it under another name" in output


def test_a_dry_run_says_what_would_be_and_changes_nothing(shell: Shell) -> None:
    dry = (0, f"trainjob.mmaction.dev/{NAME} created (server dry run)\n")
    assert shell.run("submit", shell.file(), "--dry-run") == dry
    assert shell.server.request("GET", f"{jobs(shell.namespace)}/{NAME}").status == 404
    shell.submit()
    labelled = shell.file({"metadata.labels": {"team": "a"}})
    assert shell.run("submit", labelled, "--dry-run")[1].endswith("configured (server dry run)\n")
    assert shell.run("submit", shell.file(), "--dry-run")[1].endswith("unchanged (server dry run)\n")
    assert "labels" not in shell.stored()["metadata"]


def test_a_wrong_file_is_refused_before_any_cluster_is_asked(shell: Shell) -> None:
    shell.environment["KUBECONFIG"] = "/nowhere"
    for change, field_name in (
        ({"spec.model.config": "no-such-config"}, "spec.model.config"),
        ({"spec.training": {"epochs": 0}}, "spec.training.epochs"),
    ):
        code, output = shell.run("submit", shell.file(change))
        assert (code, field_name in output) == (ConfigFailure.exit_code, True), output
        assert output == shell.run("validate", shell.folder / "job.yaml")[1]


@pytest.mark.parametrize(
    ("field_name", "path"),
    [
        ("spec.dataset.uri", "dataset"),
        ("spec.dataset.uri", "/data/ucf101"),
        ("spec.storage.uri", "results"),
        ("spec.storage.uri", "file:///results"),
        ("spec.model.pretrained", "slowfast.pth"),
    ],
)
def test_a_path_of_this_machine_is_refused_by_its_field(shell: Shell, field_name: str, path: str) -> None:
    code, output = shell.run("submit", shell.file({field_name: path}))
    assert code == ConfigFailure.exit_code
    assert output.startswith(f"Config: {field_name}: {path} is a path of a machine")
    assert "accepted: s3://" in output


def test_a_path_in_the_jobs_own_image_is_taken(shell: Shell) -> None:
    image = {"spec.pods": {"image": "registry/trainer-with-data:v1"}, "spec.model.pretrained": "/weights/slowfast.pth"}
    assert shell.submit({"spec.dataset.uri": "/data/ucf101", **image})["spec"]["dataset"]["uri"] == "/data/ucf101"
    code, output = shell.run("submit", shell.file({"spec.storage.uri": "/results", **image}))
    assert (code, "spec.storage.uri" in output) == (ConfigFailure.exit_code, True)


def test_a_spec_that_would_change_is_refused_in_the_servers_words(shell: Shell) -> None:
    shell.submit()
    code, output = shell.run("submit", shell.file({"spec.training": {"epochs": 3}}))
    assert code == ConfigFailure.exit_code
    words = "spec: Invalid value: spec cannot change once the job exists, but for suspend; apply it under another name"
    assert output.count(words) == 1


def test_what_only_the_server_can_tell_is_told_by_its_field(shell: Shell) -> None:
    code, output = shell.run("submit", shell.file({"metadata.labels": {"a": "no label!"}}))
    assert code == ConfigFailure.exit_code
    assert "metadata.labels: Invalid value" in output
    code, output = shell.run("submit", shell.file({"metadata.lables": {"a": "b"}}))
    assert code == ConfigFailure.exit_code
    assert ".metadata.lables: field not declared in schema. The cluster knows another version" in output


def test_what_somebody_else_says_of_a_job_is_not_overruled(shell: Shell) -> None:
    shell.submit()
    words = ("label", "--field-manager=them", "--namespace", shell.namespace, f"trainjob/{NAME}", "team=theirs")
    shell.server.kubectl(*words)
    code, output = shell.run("submit", shell.file({"metadata.labels": {"team": "mine"}}))
    assert code == 1
    assert re.search(
        r'409 Conflict: .*conflict with "them".*\.metadata\.labels\.team\. These fields were set by somebody else',
        output,
    )
    assert shell.stored()["metadata"]["labels"] == {"team": "theirs"}


def test_a_cluster_without_the_operator_says_how_to_install_it(shell: Shell, bare: ApiServer) -> None:
    for words in (("submit", shell.file()), ("status", NAME), ("status", NAME, "-w"), ("logs", NAME)):
        code, output = shell.run(*words, "--kubeconfig", bare.kubeconfig)
        assert code == 1
        assert f"{bare.url}: it does not know TrainJobs. Install the operator" in output
        assert "helm install" in output


def test_who_may_not_is_told_what_role_is_missing(shell: Shell) -> None:
    nobody = shell.server.kubeconfig_for("nobody", shell.server.authority.issue("nobody", user="nobody"))
    code, output = shell.run("submit", shell.file(), "--kubeconfig", nobody, "-n", shell.namespace)
    assert code == 1
    assert 'User "nobody" cannot' in output
    assert "Ask whoever runs the cluster for a role" in output


def test_a_namespace_that_is_not_there_is_named(shell: Shell) -> None:
    code, output = shell.run("submit", shell.file(), "-n", "no-such-team")
    assert (code, 'namespaces "no-such-team" not found. Create it' in output) == (1, True), output


def test_a_server_that_does_not_answer_is_named_with_what_to_do(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    address = f"https://127.0.0.1:{port}"
    shell.kubeconfig("config", clusters=[{"name": "test", "cluster": {"server": address}}])
    for words in (("submit", shell.file()), ("status", NAME, "--watch"), ("results", "get", NAME)):
        code, output = shell.run(*words)
        assert code == 1
        assert f"Cluster: {address}: no answer: " in output
        assert "Connection refused" in output
        assert "kubectl cluster-info" in output


def test_without_a_kubeconfig_it_says_how_to_name_one(shell: Shell) -> None:
    shell.environment |= {"KUBECONFIG": "", "HOME": str(shell.folder)}
    code, output = shell.run("status", NAME)
    assert (code, "--kubeconfig or $KUBECONFIG" in output) == (1, True), output
    code, output = shell.run("status", NAME, "--kubeconfig", shell.folder / "none")
    assert (code, "'--kubeconfig'" in output) == (2, True), output
    shell.kubeconfig("config")
    code, output = shell.run("status", NAME, "--kubeconfig", shell.folder / "config", "--context", "no-such")
    assert (code, "no-such" in output, "--context" in output) == (1, True, True), output


def test_the_namespace_is_the_manifests_then_the_options_then_the_contexts(shell: Shell) -> None:
    assert shell.submit()["metadata"]["namespace"] == shell.namespace
    assert shell.run("submit", shell.file(), "-n", "default")[0] == 0
    named = shell.file({"metadata.namespace": "kube-public"})
    assert shell.run("submit", named)[0] == 0
    code, output = shell.run("submit", named, "--namespace", "default")
    assert code == ConfigFailure.exit_code
    assert "metadata.namespace: kube-public; accepted: default, as --namespace says" in output
    for namespace in ("default", "kube-public"):
        path = f"{jobs(namespace)}/{NAME}"
        assert shell.server.request("DELETE", path).status == 200


def test_of_several_kubeconfigs_the_first_that_says_something_is_right(shell: Shell) -> None:
    nowhere = {"server": "https://192.0.2.1"}
    users = {"contexts": [], "clusters": [], "current-context": ""}
    shell.kubeconfig("users", **users)
    shell.kubeconfig("cluster", users=[{"name": "admin", "user": {}}])
    other = [{"name": "other", "context": {"cluster": "test", "user": "admin", "namespace": "default"}}]
    cluster = [{"name": "test", "cluster": nowhere}]
    shell.kubeconfig("other", contexts=other, clusters=cluster, users=[], **{"current-context": "other"})
    files = [shell.folder / name for name in ("none", "users", "cluster", "other")]
    shell.environment["KUBECONFIG"] = os.pathsep.join(map(str, files))
    assert shell.submit()["metadata"]["namespace"] == shell.namespace
    assert shell.run("submit", shell.file(), "--context", "other")[1].endswith("created\n")
    assert shell.server.request("DELETE", f"{jobs('default')}/{NAME}").status == 200


def rendered(shell: Shell) -> Rendered:
    """The config of the job, as a controller renders it."""
    return render(parse(shell.stored()))


def running(shell: Shell) -> dict[str, Any]:
    """The status of a job that trains."""
    return {
        "phase": "Running",
        "conditions": [RENDERED, condition("Running", "True", "Training")],
        "attempt": 2,
        "port": 20001,
        "nodes": ["node-1", "node-2"],
        "effectiveLR": 0.00125,
        "configSHA256": rendered(shell).sha256,
        "progress": {
            "epoch": 3,
            "epochs": 8,
            "iteration": 10,
            "iterations": 20,
            "loss": 1.5,
            "top1": 0.25,
            "best": {"top1": 0.5, "epoch": 2},
            "eta": "2h13m",
        },
    }


def told(output: str) -> dict[str, str]:
    """The rows of a status, by label."""
    rows = (line.strip().split("  ", 1) for line in output.splitlines()[1:])
    return {row[0]: row[1].strip() for row in rows if len(row) == 2}


def test_a_status_says_where_a_job_is_and_every_score_with_its_protocol(shell: Shell) -> None:
    shell.submit()
    shell.say(running(shell))
    code, output = shell.run("status", NAME)
    assert (code, output.splitlines()[0]) == (0, f"{shell.namespace}/{NAME}")
    rows = told(output)
    assert "waits for" not in rows
    assert rows["epoch"] == "3/8, iteration 10/20"
    assert (rows["phase"], rows["loss"], rows["attempt"], rows["port"]) == ("Running", "1.5", "2", "20001")
    by = f"{rendered(shell).val_protocol} views"
    assert rows["top-1"] == f"0.2500 ({by})"
    assert rows["best top-1"] == f"0.5000 ({by}, epoch 2)"
    assert (rows["time left"], rows["nodes"]) == ("2h13m", "node-1, node-2")
    assert (rows["learning rate"], rows["config sha256"]) == ("0.00125", running(shell)["configSHA256"])


def test_a_protocol_that_the_cluster_may_not_have_used_is_not_claimed(shell: Shell) -> None:
    shell.submit()
    shell.say(running(shell) | {"configSHA256": "0" * 64})
    assert told(shell.run("status", NAME)[1])["best top-1"] == "0.5000 (epoch 2)"


def test_a_status_says_what_a_job_waits_for(shell: Shell) -> None:
    shell.submit()
    code, output = shell.run("status", NAME)
    assert (code, told(output)["phase"]) == (0, "none yet")
    assert "the controller" in told(output)["waits for"]
    message = (
        "pod x-1-0: 0/2 nodes are available: 2 Insufficient nvidia.com/gpu. " + "It begins when a node has room. " * 20
    )
    older = condition("Preflighted", "False", "Checking", "data is checked")
    newer = condition("Running", "False", "Unschedulable", message.strip(), at="2026-01-01T00:01:00Z")
    shell.say({"phase": "Pending", "conditions": [RENDERED, newer, older]})
    assert told(shell.run("status", NAME)[1])["waits for"] == f"Unschedulable: {message.strip()}"


def test_a_status_says_what_happened_and_what_is_left(shell: Shell) -> None:
    job = shell.submit()
    score = {"protocol": {"clips": 1, "crops": 1}, "top1": 0.5, "top5": 0.75}
    test = {"protocol": {"clips": 10, "crops": 3}, "top1": 0.625, "top5": 1}
    results = {"uri": "s3://results/team-a/x", "val": score, "test": test}
    shell.say(running(shell) | {"phase": "Succeeded", "conditions": [RENDERED, COMPLETE], "results": results})
    about = {name: job[name] for name in ("apiVersion", "kind")} | {
        name: job["metadata"][name] for name in ("name", "namespace", "uid")
    }
    for number, (reason, uid) in enumerate([("Passed", about["uid"]), ("Succeeded", about["uid"]), ("Other", "0")]):
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"event-{number}", "namespace": shell.namespace},
            "involvedObject": about | {"uid": uid},
            "reason": reason,
            "message": f"message {number}",
            "lastTimestamp": f"2026-01-01T00:00:0{number}Z",
        }
        assert shell.server.request("POST", f"/api/v1/namespaces/{shell.namespace}/events", event).status == 201
    output = shell.run("status", NAME)[1]
    rows = told(output)
    assert rows["val"] == "top-1 0.5000  top-5 0.7500  (1x1 views)"
    assert rows["test"] == "top-1 0.6250  top-5 1.0000  (10x3 views)"
    assert rows["results"] == "s3://results/team-a/x"
    assert "time left" not in rows
    events = [line for line in output.splitlines() if "message" in line]
    assert ["Passed: message 0" in events[0], "Succeeded: message 1" in events[1], len(events)] == [True, True, 2]


def test_a_status_of_a_failed_job_says_why(shell: Shell) -> None:
    shell.submit()
    shell.say({"phase": "Failed", "conditions": [RENDERED, condition("Running", "False", "Ended"), FAILED]})
    rows = told(shell.run("status", NAME)[1])
    assert (rows["phase"], rows["failed"]) == ("Failed", f"Data: {FAILED['message']}")
    assert "waits for" not in rows


def user_who_may(shell: Shell, **verbs: str) -> Path:
    """The kubeconfig of a user who may do this in the test's namespace, to resources by their name without dots."""
    name, place = f"user-{shell.namespace}", ("--namespace", shell.namespace)
    for resource, allowed in verbs.items():
        full = {"trainjobs": "trainjobs.mmaction.dev", "log": "pods/log"}.get(resource, resource)
        shell.server.kubectl("create", "role", resource, f"--verb={allowed}", f"--resource={full}", *place)
        shell.server.kubectl("create", "rolebinding", resource, f"--role={resource}", f"--user={name}", *place)
    return shell.server.kubeconfig_for(name, shell.server.authority.issue(name, user=name))


def test_who_may_not_see_events_sees_the_rest(shell: Shell) -> None:
    shell.submit()
    shell.say(running(shell))
    viewer = user_who_may(shell, trainjobs="get")
    code, output = shell.run("status", NAME, "-n", shell.namespace, "--kubeconfig", viewer)
    assert (code, told(output)["phase"]) == (0, "Running")
    assert f'User "user-{shell.namespace}" cannot list' in told(output)["events"]


def test_the_role_that_the_docs_name_is_enough(shell: Shell) -> None:
    trainjobs = "get,list,watch,create,patch"
    shell.environment["KUBECONFIG"] = str(
        user_who_may(shell, trainjobs=trainjobs, events="list", pods="list", log="get")
    )
    here = ("-n", shell.namespace)
    for expected in ("created", "unchanged"):
        assert shell.run("submit", shell.file(), *here) == (0, f"trainjob.mmaction.dev/{NAME} {expected}\n")
    assert "preflight has no pod yet" in shell.run("logs", NAME, *here)[1]
    shell.say({"phase": "Succeeded", "conditions": [RENDERED, COMPLETE]})
    assert "cannot" not in shell.run("status", NAME, *here)[1]
    assert shell.run("status", NAME, "--watch", *here)[0] == 0


@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_the_whole_object_can_be_had(shell: Shell, form: str, read: Callable[[str], Any]) -> None:
    shell.submit()
    shell.say(running(shell))
    code, output = shell.run("status", NAME, "-o", form)
    expected = shell.stored()
    del expected["metadata"]["managedFields"]
    assert (code, read(output)) == (0, expected)


def test_a_job_that_is_not_there_is_named_with_where_it_was_looked_for(shell: Shell) -> None:
    for words in (("status", "other"), ("status", "other", "-w"), ("logs", "other"), ("results", "get", "other")):
        code, output = shell.run(*words)
        assert code == 1
        assert f"TrainJob {shell.namespace}/other at {shell.server.url}: there is none" in output


def watch(shell: Shell, *words: str | Path) -> tuple[subprocess.Popen[str], Callable[[str], str]]:
    """Start a command; and what waits for a line of its output that has these words."""
    process = shell.start(*words)
    assert process.stdout
    lines = process.stdout

    def wait_for(words: str) -> str:
        read = []
        while line := lines.readline():
            read.append(line)
            if words in line:
                return line
        raise AssertionError(f"no line with {words!r}: {read}")

    return process, wait_for


def test_a_job_is_followed_until_it_succeeded(shell: Shell) -> None:
    shell.submit()
    process, wait_for = watch(shell, "status", NAME, "--watch")
    wait_for(f"{NAME}: Pending")
    shell.say({"phase": "Pending", "conditions": [RENDERED, condition("Running", "False", "Unschedulable", "no node")]})
    assert "(Unschedulable: no node)" in wait_for("Unschedulable")
    shell.say(running(shell))
    assert "epoch 3/8" in wait_for("Running")
    only_loss = running(shell)
    only_loss["progress"] |= {"loss": 1.25}
    shell.say(only_loss)
    next_epoch = running(shell)
    next_epoch["progress"] |= {"epoch": 4, "loss": 1.0}
    shell.say(next_epoch)
    assert wait_for("epoch").split("attempt 2  ")[1].startswith("epoch 4/8  loss 1.000")
    results = {"uri": "s3://results/team-a/x", "test": {"protocol": {"clips": 10, "crops": 3}, "top1": 0.5, "top5": 1}}
    shell.say({"phase": "Succeeded", "conditions": [RENDERED, COMPLETE], "results": results})
    wait_for("Succeeded")
    assert "top-1 0.5000  top-5 1.0000  (10x3 views)" in wait_for("test")
    assert "s3://results/team-a/x" in wait_for("results")
    assert process.wait(10) == 0


def test_on_a_terminal_the_whole_status_is_drawn_anew(shell: Shell) -> None:
    shell.submit()
    shell.say(running(shell))
    ours, theirs = os.openpty()
    process = shell.start("status", NAME, "--watch", output=theirs)
    os.close(theirs)
    screen = b""
    with open(ours, "rb", buffering=0) as terminal:  # noqa: PTH123
        while b"2h13m" not in screen:
            screen += terminal.read(65536)
        shell.say({"phase": "Failed", "conditions": [RENDERED, FAILED]})
        with contextlib.suppress(OSError):  # how a terminal ends
            while piece := terminal.read(65536):
                screen += piece
    assert process.wait(10) == DataFailure.exit_code
    assert b"3/8, iteration 10/20" in screen
    assert "train.txt:3: no such video" in screen.rstrip().splitlines()[-1].decode()
    assert f"{NAME}: Failed".encode() in screen


@pytest.mark.parametrize(("reason", "code"), [("Data", DataFailure.exit_code), ("Preempted", 1)])
def test_a_job_that_fails_ends_the_watch_with_its_failures_exit_code(shell: Shell, reason: str, code: int) -> None:
    process, wait_for = watch(shell, "submit", shell.file(), "--watch")
    wait_for("created")
    wait_for("Pending")
    shell.say({"phase": "Failed", "conditions": [RENDERED, FAILED | {"reason": reason}]})
    wait_for(f"{NAME}: Failed")
    wait_for(f"{reason}: attempt 1 failed (pod x-1-0): train.txt:3: no such video")
    assert process.wait(10) == code


def test_a_job_that_is_deleted_ends_the_watch(shell: Shell) -> None:
    shell.submit()
    process, wait_for = watch(shell, "status", NAME, "--watch")
    wait_for("Pending")
    shell.server.request("DELETE", f"{jobs(shell.namespace)}/{NAME}")
    wait_for(f"Cluster: TrainJob {shell.namespace}/{NAME}: was deleted")
    assert process.wait(10) == 1


def test_ctrl_c_ends_the_watch_and_not_the_job(shell: Shell) -> None:
    shell.submit()
    shell.say(running(shell))
    process, wait_for = watch(shell, "status", NAME, "--watch")
    wait_for("Running")
    process.send_signal(signal.SIGINT)
    wait_for(f"{NAME} goes on; `trainjob status {NAME}` says where it is")
    assert process.wait(10) == 130


def a_pod(job: dict[str, Any], attempt: int, index: int, state: dict[str, Any]) -> dict[str, Any]:
    """A pod of an attempt, as the controller and a kubelet leave it."""
    metadata = job["metadata"]
    name = names.attempt_name(metadata["name"], attempt)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{name}-{index}" if attempt else name,
            "labels": names.labels(metadata["name"], metadata["uid"], attempt),
            "annotations": {names.INDEX: str(index)},
        },
        "spec": {"containers": [{"name": "trainer", "image": "trainer:v1"}], "nodeName": "no-such-node"},
        "status": {"phase": "Pending", "containerStatuses": [{**STATED, "state": state}]},
    }


STATED = {"name": "trainer", "image": "trainer:v1", "imageID": "", "ready": False, "restartCount": 0}


def make(shell: Shell, pod: dict[str, Any]) -> None:
    """Make a pod, and give it its status."""
    path = f"/api/v1/namespaces/{shell.namespace}/pods"
    assert shell.server.request("POST", path, pod).status == 201
    answer = shell.server.request(
        "PATCH", f"{path}/{pod['metadata']['name']}/status", {"status": pod["status"]}, **MERGE
    )
    assert answer.status == 200, answer.body


def test_logs_that_are_not_there_yet_or_any_more_are_explained(shell: Shell) -> None:
    job = shell.submit()
    code, output = shell.run("logs", NAME)
    assert code == 1
    assert "preflight has no pod yet. -f waits for it." in output
    shell.say(
        {
            "phase": "Pending",
            "attempt": 1,
            "conditions": [RENDERED, condition("Running", "False", "NoPods", "see the quota")],
        }
    )
    assert "attempt 1 has no pod yet (NoPods: see the quota). -f waits for it." in shell.run("logs", NAME)[1]
    make(shell, a_pod(job, 1, 0, {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}))
    assert f"pod {NAME}-1-0 has not begun (ImagePullBackOff: no such image)" in shell.run("logs", NAME)[1]
    assert "no pod of preflight is left" in shell.run("logs", NAME, "--preflight")[1]
    assert "attempt 3 has no pod yet" in shell.run("logs", NAME, "--attempt", "3")[1]
    shell.say({"phase": "Failed", "attempt": 2, "conditions": [RENDERED, FAILED]})
    code, output = shell.run("logs", NAME, "--follow")
    assert (code, "no pod of attempt 2 is left" in output) == (1, True), output
    uid = job["metadata"]["uid"]
    assert f"lies in s3://results/team-a/{shell.namespace}/{NAME}/{uid}/logs" in output
    shell.say({"conditions": [RENDERED, COMPLETE], "results": {"uri": "s3://results/team-a/x"}})
    assert f"Its results hold the logs, in logs/: `trainjob results get {NAME}`" in shell.run("logs", NAME)[1]


def test_logs_are_only_of_nodes_that_the_job_has(shell: Shell) -> None:
    shell.submit({"spec.resources": {"nodes": 2, "gpusPerNode": 1}})
    code, output = shell.run("logs", NAME, "--node", "2")
    assert (code, "accepted: 0 to 1, as the job has 2" in " ".join(output.split())) == (2, True), output
    code, output = shell.run("logs", NAME, "--preflight", "--attempt", "1")
    assert (code, "--preflight" in output) == (2, True)


@dataclass
class Published:
    """Results in S3, and what a status says of them."""

    shell: Shell
    uri: str
    folder: Path
    files: dict[str, bytes]
    status: dict[str, Any]

    @property
    def manifest(self) -> Path:
        """The manifest, as the S3 server keeps it."""
        return self.folder / "manifest.json"


@pytest.fixture
def published(shell: Shell, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Published:
    """A job that is over, whose results are in S3."""
    job = shell.submit()
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    shell.environment |= s3.environment()
    bucket = shell.namespace
    s3.bucket(bucket)
    uid = job["metadata"]["uid"]
    uri = f"s3://{bucket}/team/{shell.namespace}/{NAME}/{uid}"
    files = {"config.py": b"model = dict()\n", "checkpoints/best.pth": os.urandom(70_000), "logs/node-0.txt": b"1\n"}
    for path, content in files.items():
        file = shell.folder / "left" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    identity = JobIdentity(namespace=shell.namespace, name=NAME, uid=uid)
    digest = publish(open_storage(uri), shell.folder / "left", files, identity, {})
    status = {
        "phase": "Succeeded",
        "conditions": [RENDERED, COMPLETE],
        "results": {"uri": uri, "manifestSHA256": digest},
    }
    shell.say(status)
    folder = s3.folder / bucket / "team" / shell.namespace / NAME / uid
    return Published(shell, uri, folder, files, status)


def test_results_are_fetched_and_verified_by_the_jobs_name(published: Published) -> None:
    shell = published.shell
    code, output = shell.run("results", "get", NAME)
    assert (code, output.strip()) == (0, f"3 objects in {NAME}, each as the manifest says")
    assert {path: (shell.folder / NAME / path).read_bytes() for path in published.files} == published.files
    assert shell.run("results", "get", NAME, "elsewhere")[0] == 0
    assert (shell.folder / "elsewhere" / "manifest.json").is_file()
    assert shell.run("results", "verify", NAME)[0] == 0
    (published.folder / "config.py").write_bytes(b"model = list()\n")
    code, output = shell.run("results", "verify", NAME)
    assert (code, "config.py has sha256" in output) == (StorageFailure.exit_code, True), output


def test_results_whose_manifest_is_not_the_one_in_the_status_are_not_downloaded(published: Published) -> None:
    shell = published.shell
    manifest = json.loads(published.manifest.read_text())
    published.manifest.write_text(json.dumps(manifest | {"objects": []}))
    for verb in ("get", "verify"):
        code, output = shell.run("results", verb, NAME)
        assert code == StorageFailure.exit_code
        assert f"{published.uri}/manifest.json: sha256 " in output
        assert f"accepted: {published.status['results']['manifestSHA256']}" in output
    assert not (shell.folder / NAME).exists()
    assert shell.run("results", "verify", published.uri)[0] == 0, "a URI is taken at its word, as before"


def test_results_are_still_had_by_their_uri_or_folder_without_a_cluster(published: Published) -> None:
    shell = published.shell
    shell.environment["KUBECONFIG"] = "/nowhere"
    assert shell.run("results", "get", published.uri, "here", code=WITHOUT_KUBERNETES)[0] == 0
    assert shell.run("results", "verify", "./here", code=WITHOUT_KUBERNETES)[0] == 0
    code, output = shell.run("results", "get", published.uri)
    assert (code, "FOLDER" in output) == (2, True)


def test_results_of_a_job_that_is_not_over_or_failed_are_refused_with_its_phase(shell: Shell) -> None:
    shell.submit()
    assert f"TrainJob {NAME}: no results yet, as its phase is none" in shell.run("results", "get", NAME)[1]
    shell.say(running(shell))
    code, output = shell.run("results", "get", NAME)
    assert (code, f"as its phase is Running. `trainjob status {NAME} --watch`" in output) == (1, True), output
    shell.say({"phase": "Failed", "conditions": [RENDERED, FAILED]})
    assert "it failed (Data: attempt 1 failed" in shell.run("results", "get", NAME)[1]


def test_results_without_keys_say_whose_keys_are_needed(published: Published) -> None:
    shell = published.shell
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del shell.environment[name]
    code, output = shell.run("results", "get", NAME)
    assert code == StorageFailure.exit_code
    assert "no credentials" in output
    assert "this machine's AWS settings" in output
    assert "not with the Secret of the job" in output


def test_without_the_kubernetes_package_what_needs_it_says_so_and_the_rest_works(shell: Shell) -> None:
    for words in (("submit", shell.file()), ("status", NAME), ("logs", NAME), ("results", "get", NAME)):
        code, output = shell.run(*words, code=WITHOUT_KUBERNETES)
        assert code == 1
        line = (
            "Cluster: Python package kubernetes: not installed. Install it: pip install 'mmaction-operator[operator]'."
        )
        assert output == f"{line}\n"
    code, output = shell.run("--help", code=WITHOUT_KUBERNETES)
    assert code == 0
    assert all(command in output for command in ("submit", "status", "logs", "results"))
    assert shell.run("validate", shell.file(), code=WITHOUT_KUBERNETES)[0] == 0


def test_kubectl_finds_it_and_the_usage_says_how_it_was_called(shell: Shell) -> None:
    scripts = Path(sys.executable).parent
    assert shutil.which("kubectl-trainjob", path=scripts)
    environment = {
        **os.environ,
        "PATH": f"{scripts}:{os.environ['PATH']}",
        "KUBECONFIG": shell.environment["KUBECONFIG"],
    }

    def usage(*command: str | Path) -> str:
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout.strip()

    assert usage(program("kubectl"), "trainjob", "status", "--help").startswith("Usage: kubectl trainjob status ")
    assert usage(scripts / "trainjob", "results", "get", "--help").startswith("Usage: trainjob results get ")
    shell.submit()
    assert "none yet" in usage(program("kubectl"), "trainjob", "status", NAME)
