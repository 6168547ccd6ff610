"""An HTTP server on a real socket that answers what a test has written down, in that order, well or badly."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from mmaction_operator.kube import Object, Resource

THINGS = Resource("example.dev", "v1", "things", "Thing")
OWNERS = Resource("example.dev", "v1", "owners", "Owner")


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Answer:
    """A whole answer; ``promised`` is how many bytes more its header promises than come."""

    code: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    promised: int = 0


@dataclass(frozen=True)
class Stream:
    """An answer in chunks: it ends in order, is cut off, or says nothing more for as long as the server runs.

    Where an event stands among the chunks, the rest comes once that is set.
    """

    chunks: tuple[bytes | threading.Event, ...] = ()
    end: Literal["in order", "cut", "silent"] = "silent"


class Nothing:
    """No answer: the connection is closed."""


Script = Answer | Stream | Nothing | Callable[[Asked], "Script"]


def thing(name: str, version: int, *, namespace: str = "one", resource: Resource = THINGS, **more: Any) -> Object:
    """An object; ``more`` goes into its metadata, but for ``spec``."""
    spec = {"spec": more.pop("spec")} if "spec" in more else {}
    metadata = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "resourceVersion": str(version), **more}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, **spec}


def listing(version: int, *items: Object, token: str = "") -> Answer:
    """A list, or a page of one."""
    return Answer(body={"metadata": {"resourceVersion": str(version), "continue": token}, "items": list(items)})


def line(type: str, object: Object) -> bytes:  # noqa: A002
    """An event as a watch sends it."""
    return json.dumps({"type": type, "object": object}, ensure_ascii=False).encode() + b"\n"


def bookmark(version: int) -> bytes:
    return line("BOOKMARK", {"kind": "Thing", "metadata": {"resourceVersion": str(version)}})


def refusal(code: int, reason: str = "", message: str = "", **headers: str) -> Answer:
    """A metav1.Status that says no."""
    body = {"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": code}
    return Answer(code, body, {name.replace("_", "-"): value for name, value in headers.items()})


class ScriptedServer:
    """Answers each request by the next line of its script; when that is over, watches stay silent."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.ending = threading.Event()
        self._script: deque[Script] = deque()
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None
        self.port = 0
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self, *script: Script) -> None:
        """What to answer, after what was said before."""
        self._script.extend(script)

    def of(self, *, watch: bool) -> list[Asked]:
        """The requests that were watches, or all others."""
        return [asked for asked in self.asked if ("watch" in asked.query) == watch]

    def start(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler())
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """From now on, connections are refused."""
        assert self._server
        self._server.shutdown()
        self._server.server_close()

    def next(self, asked: Asked) -> Script:
        with self._lock:
            self.asked.append(asked)
            script = self._script.popleft() if self._script else Stream() if "watch" in asked.query else Answer(500)
        return script(asked) if callable(script) else script

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def answer(self) -> None:
                parts = urlsplit(self.path)
                sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                query = dict(parse_qsl(parts.query, keep_blank_values=True))
                body = json.loads(sent) if sent else None
                answer = server.next(Asked(self.command, parts.path, query, dict(self.headers), body))
                if isinstance(answer, Answer):
                    self.whole(answer)
                elif isinstance(answer, Stream):
                    self.stream(answer)
                else:
                    self.close_connection = True

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

            def whole(self, answer: Answer) -> None:
                body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                self.send_response(answer.code)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body) + answer.promised))
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = bool(answer.promised)

            def stream(self, answer: Stream) -> None:
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for chunk in answer.chunks:
                    if isinstance(chunk, threading.Event):
                        chunk.wait(5)
                        continue
                    self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                    self.wfile.flush()
                if answer.end == "in order":
                    self.wfile.write(b"0\r\n\r\n")
                    return
                if answer.end == "silent":
                    server.ending.wait()
                self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
