"""What is taken in over HTTP: progress of a job's own pods, and of nobody else."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from mmaction_operator.controller.board import ProgressBoard
from mmaction_operator.controller.resources import BY_UID, own_uid
from mmaction_operator.controller.web import LARGEST, POD_UID, Posts, Web, serve, server
from mmaction_operator.kube import Key, Store, Unreachable
from mmaction_operator.plan import names
from mmaction_trainer.contract.progress import Progress

NOW = datetime(2026, 1, 2, tzinfo=UTC)
AUDIENCE = "mmaction-operator"


@dataclass
class Reviews:
    """An API server that knows tokens; it counts how often it is asked."""

    pods: dict[str, str]
    audiences: list[str] = field(default_factory=lambda: [AUDIENCE])
    down: bool = False
    asked: int = 0

    def create(self, resource: Any, manifest: dict[str, Any]) -> dict[str, Any]:
        self.asked += 1
        if self.down:
            raise Unreachable("create tokenreviews", "connection refused")
        uid = self.pods.get(manifest["spec"]["token"])
        if uid is None:
            return {"status": {"authenticated": False}}
        return {"status": {"authenticated": True, "audiences": self.audiences, "user": {"extra": {POD_UID: [uid]}}}}


@dataclass
class Told:
    """A running endpoint, and what came of what was posted."""

    port: int
    reviews: Reviews
    board: ProgressBoard
    changed: list[Key]
    now: list[float]
    leads: list[bool]

    def post(self, token: str | None, body: bytes, path: str = "/v1/progress", **headers: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        known = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            connection.request("POST", path, body, known | headers)
            return connection.getresponse().status
        finally:
            connection.close()


@pytest.fixture
def told() -> Iterator[Told]:
    pods = Store({BY_UID: own_uid})
    pods.replace([a_pod("pod-a", "job-a", "uid-a", 2)])
    reviews, board, changed = Reviews({"token-a": "pod-a", "token-x": "pod-x"}), ProgressBoard(), list[Key]()
    now, leads = [0.0], [True]
    posts = Posts(
        client=reviews,  # type: ignore[arg-type]
        pods=pods,
        board=board,
        changed=changed.append,
        audience=AUDIENCE,
        count=lambda outcome: None,
        leads=lambda: leads[0],
        clock=lambda: now[0],
    )
    web = server(("127.0.0.1", 0), Web(lambda: "", lambda: True, CollectorRegistry(), posts))
    stopping = threading.Event()
    thread = threading.Thread(target=serve, args=(web, stopping), daemon=True)
    thread.start()
    yield Told(web.server_address[1], reviews, board, changed, now, leads)
    stopping.set()
    thread.join(1)
    assert not thread.is_alive(), "the end of the process waits for it"


def a_pod(uid: str, job: str, job_uid: str, attempt: int) -> dict[str, Any]:
    labels = names.labels(job, job_uid, attempt)
    metadata = {"uid": uid, "name": uid, "namespace": "team", "labels": labels, "resourceVersion": "1"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}


def progress(epoch: int, seconds: int = 0) -> bytes:
    return Progress(stage="Training", observed_at=NOW + timedelta(seconds=seconds), epoch=epoch).to_json().encode()


def test_a_pods_word_counts_for_its_own_job_and_attempt(told: Told) -> None:
    assert told.post("token-a", progress(3)) == 204
    assert told.changed == [Key("team", "job-a")]
    kept = told.board.get("uid-a", 2)
    assert kept
    assert kept.epoch == 3
    assert told.board.get("uid-a", 1) is None


STRANGERS = {"none": (None, 401), "empty": ("", 401), "false": ("nobody's", 401), "foreign": ("token-x", 404)}


@pytest.mark.parametrize(("token", "status"), STRANGERS.values(), ids=STRANGERS)
def test_whoever_is_no_pod_of_a_job_is_turned_away(token: str | None, status: int, told: Told) -> None:
    assert told.post(token, progress(3)) == status
    assert told.changed == []


def test_a_token_for_another_audience_is_turned_away(told: Told) -> None:
    told.reviews.audiences = ["https://kubernetes.default.svc"]
    assert told.post("token-a", progress(3)) == 401


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"stage": "Dancing"}', b"\xff\xfe", b'"x"'])
def test_what_is_no_progress_is_refused(body: bytes, told: Told) -> None:
    assert told.post("token-a", body) == 400
    assert told.changed == []


def test_a_post_that_is_too_large_is_refused_unread(told: Told) -> None:
    assert told.post("token-a", b"x" * (LARGEST + 1)) == 413
    assert told.post("token-a", b"{}", **{"Content-Length": "-5"}) == 413
    assert told.reviews.asked == 0


def test_the_newest_word_wins_whichever_comes_last(told: Told) -> None:
    assert told.post("token-a", progress(5, seconds=10)) == 204
    assert told.post("token-a", progress(4, seconds=5)) == 204
    kept = told.board.get("uid-a", 2)
    assert kept
    assert kept.epoch == 5
    assert len(told.changed) == 1


def test_a_token_is_reviewed_once_a_minute(told: Told) -> None:
    for epoch in range(5):
        assert told.post("token-a", progress(epoch, seconds=epoch)) == 204
    assert told.reviews.asked == 1
    told.now[0] = 61
    assert told.post("token-a", progress(9, seconds=9)) == 204
    assert told.reviews.asked == 2


def test_while_the_api_server_is_away_trainers_are_asked_to_try_again(told: Told) -> None:
    told.reviews.down = True
    assert told.post("token-a", progress(1)) == 503
    told.reviews.down = False
    assert told.post("token-a", progress(1)) == 204


@pytest.mark.parametrize(
    ("path", "status"), [("/healthz", 200), ("/readyz", 200), ("/metrics", 200), ("/v1/progress", 404)]
)
def test_what_is_asked_for(path: str, status: int, told: Told) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", told.port, timeout=10)
    connection.request("GET", path)
    assert connection.getresponse().status == status
    connection.close()
    assert told.post("token-a", json.dumps({}).encode(), path="/v1/other") == 404


def test_a_replica_that_does_not_lead_takes_nothing_in(told: Told) -> None:
    told.leads[0] = False
    assert told.post("token-a", progress(3)) == 503
    assert (told.board.get("uid-a", 2), told.changed, told.reviews.asked) == (None, [], 0)
    told.leads[0] = True
    assert told.post("token-a", progress(3)) == 204
