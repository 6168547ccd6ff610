"""HTTP: probes and metrics for the cluster, and a place where trainers say how far they are.

A trainer proves who it is by a token that its kubelet gives it for this audience alone. The API server says whose pod
that is; what it says counts for that pod's job and no other.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from pydantic import ValidationError

from mmaction_operator.kube import Client, Key, KubeError, Store
from mmaction_operator.plan import names
from mmaction_trainer.contract.progress import Progress

from .board import ProgressBoard
from .resources import BY_UID, TOKEN_REVIEWS

log = logging.getLogger(__name__)

LARGEST = 16 * 1024
"""Bytes of a post."""
SECONDS_TRUSTED = 60.0
"""How long an answer of the API server about a token counts."""
GLANCE = 0.2
"""Seconds between looks at whether to stop answering, where nobody asks."""
TOKENS = 16_384
POD_UID = "authentication.kubernetes.io/pod-uid"
TIMEOUT = 5.0


@dataclass(frozen=True)
class Answer:
    """What a client is told."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


class Posts:
    """Takes in what trainers say.

    Args:
        client: asks the API server about tokens.
        pods: by their uid.
        board: where it is kept.
        changed: told which job has news.
        audience: whom tokens have to be for.
        count: told the outcome of each post.
        leads: whether this process writes statuses; another one forgets what it is told.
    """

    def __init__(
        self,
        *,
        client: Client,
        pods: Store,
        board: ProgressBoard,
        changed: Callable[[Key], None],
        audience: str,
        count: Callable[[str], None],
        leads: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client, self.pods, self.board, self.changed = client, pods, board, changed
        self.audience, self.count, self.leads, self.clock = audience, count, leads, clock
        self._known: OrderedDict[bytes, tuple[float, str]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, authorization: str, body: bytes) -> Answer:
        """One post: a bearer token and a Progress as JSON."""
        answer = self._take(authorization, body)
        self.count(str(answer.status))
        return answer

    def _take(self, authorization: str, body: bytes) -> Answer:
        if not self.leads():
            return Answer(503, b"another replica leads; try again")
        kind, _, token = authorization.partition(" ")
        if kind != "Bearer" or not token:
            return Answer(401, b"a bearer token is needed")
        try:
            uid = self.pod_uid(token)
        except KubeError as error:
            log.warning("a token could not be reviewed: %s", error)
            return Answer(503, b"try again")
        if not uid:
            return Answer(401, b"the token is not one of a pod for this audience")
        pod = next(iter(self.pods.by(BY_UID, uid)), None)
        if pod is None:
            return Answer(404, b"no such pod of a TrainJob is known here")
        try:
            progress = Progress.model_validate_json(body)
        except ValidationError:
            return Answer(400, b"not a Progress")
        labels = pod["metadata"]["labels"]
        if self.board.put(labels[names.UID], int(labels[names.ATTEMPT]), progress):
            self.changed(Key(pod["metadata"]["namespace"], labels[names.JOB]))
        return Answer(204)

    def pod_uid(self, token: str) -> str:
        """The uid of the pod that a token belongs to; empty if it is none of ours."""
        digest = hashlib.sha256(token.encode()).digest()
        with self._lock:
            known = self._known.get(digest)
        if known and known[0] > self.clock():
            return known[1]
        uid = self.review(token)
        with self._lock:
            self._known[digest] = self.clock() + SECONDS_TRUSTED, uid
            while len(self._known) > TOKENS:
                self._known.popitem(last=False)
        return uid

    def review(self, token: str) -> str:
        """Ask the API server."""
        review = {
            "apiVersion": TOKEN_REVIEWS.api_version,
            "kind": TOKEN_REVIEWS.kind,
            "spec": {"token": token, "audiences": [self.audience]},
        }
        status = self.client.create(TOKEN_REVIEWS, review).get("status", {})
        if not status.get("authenticated") or self.audience not in status.get("audiences", ()):
            return ""
        return next(iter(status.get("user", {}).get("extra", {}).get(POD_UID, ())), "")


@dataclass(frozen=True)
class Web:
    """What is answered.

    Args:
        healthy: whether this process should go on; else a reason why not.
        ready: whether it does its work.
        metrics: what Prometheus is told.
        posts: takes in progress.
    """

    healthy: Callable[[], str]
    ready: Callable[[], bool]
    metrics: CollectorRegistry
    posts: Posts

    def get(self, path: str) -> Answer:
        """Answer a GET."""
        if path == "/healthz":
            reason = self.healthy()
            return Answer(500, reason.encode()) if reason else Answer(200, b"ok")
        if path == "/readyz":
            return Answer(200, b"ok") if self.ready() else Answer(503, b"caches are not filled yet")
        if path == "/metrics":
            return Answer(200, generate_latest(self.metrics), CONTENT_TYPE_LATEST)
        return Answer(404)


def server(address: tuple[str, int], web: Web) -> ThreadingHTTPServer:
    """An HTTP server that answers as ``web`` does, once it is served."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = TIMEOUT

        def log_message(self, *_: object) -> None:
            """Say nothing: metrics count."""

        def do_GET(self) -> None:
            self.answer(web.get(self.path))

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if self.path != "/v1/progress":
                self.refuse(Answer(404))
            elif not length.isascii() or not length.isdigit() or int(length) > LARGEST:
                self.refuse(Answer(413))
            else:
                self.answer(web.posts.take(self.headers.get("Authorization", ""), self.rfile.read(int(length))))

        def refuse(self, answer: Answer) -> None:
            """Answer without reading what was sent."""
            self.close_connection = True
            self.answer(answer)

        def answer(self, answer: Answer) -> None:
            """Send an answer."""
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    return Server(address, Handler)


def serve(web: ThreadingHTTPServer, stopping: threading.Event) -> None:
    """Answer until told to stop."""
    web.timeout = GLANCE
    with web:
        while not stopping.is_set():
            web.handle_request()
