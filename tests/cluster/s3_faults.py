"""A proxy in front of an S3 server that does to requests and answers what a test says, to show what networks do."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from mmaction_trainer.storage import Storage
from tests.cluster.s3 import S3Server


@dataclass
class Request:
    """What a client asks."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    """What the client is told; ``sent`` bytes of the body (all by default), after which the connection closes.

    It closes before the server's own headers where they are ``cut``.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    sent: int | None = None
    cut: bool = False


Forward = Callable[[Request], Answer]
"""The way to the real server."""

Fault = Callable[[Request, Forward], Answer]
"""Given a request and the way to the real server, the answer that the client gets."""

Behind = Callable[[Fault], AbstractContextManager[Storage]]
"""Gives a storage as it is seen behind a fault."""


class Log:
    """Passes everything on, and keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, request: Request, forward: Forward) -> Answer:
        self.asked.append(request.method)
        return forward(request)


def refusal(status: int, code: str, message: str = "") -> Answer:
    """An S3 error."""
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    return Answer(status, {"Content-Type": "application/xml"}, body)


@contextmanager
def in_front_of(server: S3Server, fault: Fault) -> Iterator[S3Server]:
    """The same server behind a faulty network."""

    def forward(request: Request) -> Answer:
        connection = http.client.HTTPConnection(server.endpoint.removeprefix("http://"))
        connection.request(request.method, request.path, request.body, request.headers)
        answer = connection.getresponse()
        told = Answer(answer.status, dict(answer.getheaders()), answer.read())
        connection.close()
        return told

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def handle_expect_100(self) -> bool:
            self.send_response_only(100)
            self.end_headers()
            return True

        def exchange(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
            answer = fault(Request(self.command, self.path, headers, body), forward)
            self.send_response(answer.status)
            if answer.cut:
                self.flush_headers()
                self.close_connection = True
                return
            kept = {n: v for n, v in answer.headers.items() if n.lower() not in ("connection", "transfer-encoding")}
            if not any(name.lower() == "content-length" for name in kept):
                kept["Content-Length"] = str(len(answer.body))
            for name, value in kept.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body[: answer.sent])
            if answer.sent is not None:
                self.close_connection = True

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = exchange  # noqa: N815

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as proxy:
        proxy.daemon_threads = True
        thread = threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield replace(server, endpoint=f"http://127.0.0.1:{proxy.server_port}")
        finally:
            proxy.shutdown()
            thread.join()
