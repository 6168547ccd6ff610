"""How a question is asked: not too fast, counted, and again if need be.

- All questions share one token bucket, so that a controller with a bug is a nuisance and not an outage.
- After a lost connection nobody knows whether the request arrived, so only what may be done twice is asked twice. A
  server that says 429 has not looked at the request: that may always be repeated.
- Between a decision and its request a process may stand still for minutes, and another one lead by then. So whether it
  may still act is looked at last of all.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from urllib3 import BaseHTTPResponse

from .connection import Connection, Request, no_answer_to
from .errors import KubeError, Refused, TooManyRequests, Unreachable
from .pace import Backoff, TokenBucket
from .reading import read
from .resource import Object, Resource

Answer = TypeVar("Answer")

UNREADABLE = re.compile("[\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff]")
"""What YAML refuses as it is, or takes for the end of a line."""

PASSING = (502, 503, 504)
"""Statuses that pass: of a server that starts or ends, or of a load balancer before it."""


@dataclass(frozen=True)
class Patience:
    """How long to wait for answers, and how often to ask again.

    Args:
        connect: seconds to wait for a connection. Default 5.
        read: seconds to wait for each part of an answer. Default 30.
        attempts: requests at most for one question. Default 4.
        longest: seconds at most between two of them; a server that wants more is not asked again. Default 10.
        backoff: between them, where the server names no time. Default 0.2 s, doubled each time, and jitter.
    """

    connect: float = 5.0
    read: float = 30.0
    attempts: int = 4
    longest: float = 10.0
    backoff: Backoff = field(default_factory=lambda: Backoff(first=0.2, most=5.0, jitter=0.5))

    def wait(self, error: KubeError, attempt: int, *, repeatable: bool) -> float | None:
        """Seconds until the next attempt; None if there should be none."""
        if attempt >= self.attempts or not (isinstance(error, TooManyRequests) or (repeatable and _passes(error))):
            return None
        asked_for = error.retry_after if isinstance(error, Refused) else None
        wait = self.backoff.after(attempt) if asked_for is None else asked_for
        return wait if wait <= self.longest else None


def _passes(error: KubeError) -> bool:
    return isinstance(error, Unreachable) or (isinstance(error, Refused) and error.code in PASSING)


@dataclass(frozen=True)
class Exchange:
    """One request that was made, for metrics; ``code`` is 0 where there was no answer."""

    verb: str
    resource: Resource
    code: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Asking:
    """Questions over a connection, from many threads if need be; ``dataclasses.replace`` gives variants.

    Args:
        field_manager: the name under which the server keeps which fields this program set.
        patience: see ``Patience``.
        limit: requests a second. Default 50, bursts of 100; None: no limit.
        observe: told of each request. Default: nobody.
        fence: called right before each request, and raises where this program may not act any more. Default: it may.
        sleep: default time.sleep.
    """

    connection: Connection
    field_manager: str
    patience: Patience = field(default_factory=Patience)
    limit: TokenBucket | None = field(default_factory=lambda: TokenBucket(50, 100))
    observe: Callable[[Exchange], None] = lambda _: None
    fence: Callable[[], None] = lambda: None
    sleep: Callable[[float], None] = time.sleep

    def _ask(self, verb: str, resource: Resource, path: str, *, repeatable: bool = True, **how: Any) -> Object:
        request = self._request(verb, path, **how)
        attempt = 1
        while True:
            try:
                body = self._counted(verb, resource, lambda: self.connection.ask(request))
                with no_answer_to(request.asked):
                    answer: Object = read(body)
                return answer
            except KubeError as error:
                if (wait := self.patience.wait(error, attempt, repeatable=repeatable)) is None:
                    raise
            self.sleep(wait)
            attempt += 1

    def _open(self, verb: str, resource: Resource, path: str, **how: Any) -> BaseHTTPResponse:
        request = self._request(verb, path, **how)
        return self._counted(verb, resource, lambda: self.connection.open(request))

    def _request(
        self, verb: str, path: str, *, body: Mapping[str, Any] | None = None, read: float | None = None, **how: Any
    ) -> Request:
        return Request(
            asked=f"{verb} {path}",
            path=path,
            body=None if body is None else _written(body),
            connect=self.patience.connect,
            read=self.patience.read if read is None else read,
            **how,
        )

    def _counted(self, verb: str, resource: Resource, send: Callable[[], Answer]) -> Answer:
        if self.limit and (wait := self.limit.take()):
            self.sleep(wait)
        self.fence()
        code, begun = 0, time.monotonic()
        try:
            answer = send()
            code = 200
            return answer
        except Refused as error:
            code = error.code
            raise
        finally:
            self.observe(Exchange(verb, resource, code, time.monotonic() - begun))


def _written(body: Mapping[str, Any]) -> bytes:
    """JSON that is YAML too, as what is applied is read as YAML: there, pairs of escapes are not one character."""
    text = json.dumps(body, ensure_ascii=False)
    return UNREADABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode(errors="replace")
