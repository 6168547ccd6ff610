"""Whose logs are read, of pods on several nodes and over several attempts; a scripted server plays the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes.client.configuration import Configuration

from mmaction_operator.cli import logs
from mmaction_operator.cli.cluster import Cluster
from mmaction_operator.cli.connecting import ClusterFailure
from mmaction_operator.cli.logs import Chosen, Reader
from mmaction_operator.kube import Client, Connection, Object
from mmaction_operator.plan import names
from tests.unit.kube.scripted import Answer, Asked, Script, ScriptedServer, Stream, listing, refusal

NOW = "2026-01-01T00:00:00Z"
RUNS: dict[str, Any] = {"running": {}}
WAITS: dict[str, Any] = {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}


def pod(attempt: int, index: int, state: dict[str, Any] = RUNS) -> Object:
    """A pod of an attempt, as the API server has it."""
    name = names.attempt_name("a", attempt)
    return {
        "metadata": {
            "name": f"{name}-{index}" if attempt else name,
            "namespace": "one",
            "uid": f"uid-{attempt}-{index}",
            "creationTimestamp": NOW,
            "labels": names.labels("a", "u", attempt),
            "annotations": {names.INDEX: str(index)},
        },
        "status": {"phase": "Pending" if state is WAITS else "Running", "containerStatuses": [{"state": state}]},
    }


def over(kind: str = "Complete") -> dict[str, Any]:
    condition = {"type": kind, "status": "True", "reason": "Data", "message": "", "lastTransitionTime": NOW}
    return {"phase": "Succeeded" if kind == "Complete" else "Failed", "conditions": [condition]}


class Played(ScriptedServer):
    """A cluster with one job; each look at its pods sees the next of its scenes, and the last one from then on."""

    def __init__(self) -> None:
        super().__init__()
        self.scenes: list[tuple[dict[str, Any], list[Object]]] = []
        self.looks = 0
        self.refused: set[str] = set()

    def next(self, asked: Asked) -> Script:
        self.asked.append(asked)
        status, pods = self.scenes[min(self.looks, len(self.scenes) - 1)]
        *_, last = asked.path.split("/")
        if last == "log":
            name = asked.path.split("/")[-2]
            return refusal(400, "BadRequest", "gone") if name in self.refused else Stream((printed(name),), "in order")
        if last == "pods":
            self.looks += 1
            return listing(1, *pods)
        return Answer(body=self.job(status))

    def job(self, status: dict[str, Any]) -> Object:
        metadata = {"name": "a", "namespace": "one", "uid": "u"}
        return {"metadata": metadata, "spec": {"storage": {"uri": "s3://r"}}, "status": status}


def printed(pod: str) -> bytes:
    """What a pod prints: its name, twice."""
    return b"".join(f"2026-01-01T00:00:00.00000000{number}Z {pod} {number}\n".encode() for number in (1, 2))


@pytest.fixture
def server() -> Iterator[Played]:
    with Played() as server:
        yield server


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "POLL", 0.02)


def reader(server: Played, attempt: int | None = None, node: int | None = None) -> Reader:
    connection = Connection(Configuration(host=server.url), user_agent="tests")
    cluster = Cluster(Client(connection=connection, field_manager="tests", limit=None), "one", sleep=lambda _: None)
    return Reader(cluster, server.job(server.scenes[0][0]), Chosen(attempt, node, None))


def heard(lines: Iterator[tuple[int, bytes]]) -> list[str]:
    """Which pods' first lines were read, with the index that they are said to be of."""
    return [f"{index}:{line.decode()[:-2]}" for index, line in lines if line.endswith(b" 1")]


ALL = [pod(0, 0), pod(1, 0), pod(1, 1), pod(2, 1), pod(2, 0)]


@pytest.mark.parametrize(
    ("attempt", "node", "read"),
    [
        pytest.param(None, None, ["0:a-2-0", "1:a-2-1"], id="the newest"),
        pytest.param(None, 1, ["1:a-2-1"], id="one node of it"),
        pytest.param(1, None, ["0:a-1-0", "1:a-1-1"], id="an older one"),
        pytest.param(0, None, ["0:a-preflight"], id="the preflight"),
    ],
)
def test_logs_are_those_of_an_attempt_in_the_order_of_its_nodes(
    server: Played, attempt: int | None, node: int | None, read: list[str]
) -> None:
    server.scenes = [({"attempt": 2}, ALL)]
    assert heard(reader(server, attempt, node).now()) == read
    (listed,) = [asked for asked in server.asked if asked.path.endswith("/pods")]
    assert listed.query["labelSelector"] == f"{names.UID}=u"


def test_a_node_that_has_not_begun_is_told_beside_the_others(
    server: Played, capsys: pytest.CaptureFixture[str]
) -> None:
    server.scenes = [({"attempt": 1}, [pod(1, 0, WAITS), pod(1, 1)])]
    assert heard(reader(server).now()) == ["1:a-1-1"]
    assert "[node-0] pod a-1-0 has not begun (ImagePullBackOff: no such image)" in capsys.readouterr().err


def test_following_begins_as_pods_do_and_goes_on_through_the_attempts_until_the_job_is_over(server: Played) -> None:
    second = [pod(2, 0), pod(2, 1)]
    server.scenes = [
        ({}, []),
        ({"phase": "Validating"}, [pod(0, 0, WAITS)]),
        ({"phase": "Validating"}, [pod(0, 0)]),
        ({"attempt": 1}, [pod(0, 0), pod(1, 0), pod(1, 1, WAITS)]),
        ({"attempt": 1}, [pod(0, 0), pod(1, 0), pod(1, 1)]),
        ({"attempt": 2}, [pod(0, 0), pod(1, 0), pod(1, 1), *second]),
        (over(), [pod(0, 0), pod(1, 0), pod(1, 1), *second]),
    ]
    assert sorted(heard(reader(server).on())) == ["0:a-1-0", "0:a-2-0", "0:a-preflight", "1:a-1-1", "1:a-2-1"]
    followed = [asked.query for asked in server.asked if asked.path.endswith("/log")]
    assert all(query["follow"] == "true" for query in followed)
    assert len(followed) == 5, "each pod is read once"


@pytest.mark.parametrize(("attempt", "read"), [(1, ["0:a-1-0"]), (0, ["0:a-preflight"])])
def test_following_an_attempt_ends_with_it(server: Played, attempt: int, read: list[str]) -> None:
    server.scenes = [
        ({"attempt": attempt}, [pod(0, 0), pod(1, 0)]),
        ({"attempt": 2}, [pod(0, 0), pod(1, 0), pod(2, 0)]),
    ]
    assert heard(reader(server, attempt).on()) == read


def test_following_a_job_that_ends_before_any_pod_began_says_so(server: Played) -> None:
    server.scenes = [({}, []), (over("Failed"), [])]
    with pytest.raises(ClusterFailure, match="no pod of preflight is left"):
        list(reader(server).on())


def test_a_log_that_cannot_be_read_is_no_empty_log(server: Played) -> None:
    server.scenes = [({"attempt": 1}, [pod(1, 0)])]
    server.refused = {"a-1-0"}
    for lines in (reader(server).now(), reader(server).on()):
        with pytest.raises(Exception, match="gone"):
            list(lines)
