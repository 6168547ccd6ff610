"""A watch: the changes to a selection of objects, as a stream of lines that may end at any time, in any way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

import urllib3

from .connection import no_answer_to
from .errors import Gone, Unreachable
from .reading import read
from .resource import Object

CHUNK = 1 << 16
LONGEST = 1 << 25
"""Bytes of a line at most, ten times what etcd takes: a stream without end of line must not fill the memory."""


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to an object: ADDED, MODIFIED, DELETED, or BOOKMARK, which carries no more than a version."""

    type: str
    object: Object


class Watch:
    """An open watch; iterating yields events until the server ends it.

    Args:
        asked: what was asked, for errors.
        heard: called for everything that arrives.
    """

    def __init__(self, response: urllib3.BaseHTTPResponse, asked: str, heard: Callable[[], None]) -> None:
        self._response, self._asked, self._heard = response, asked, heard

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._response.close()

    def __iter__(self) -> Iterator[Event]:
        """Events in the server's order.

        Raises:
            Gone: the server says that this watch cannot go on: list anew.
            Unreachable: the stream broke off, or was silent for too long.
        """
        for line in self._lines():
            with no_answer_to(self._asked):
                event = read(line)
            if event["type"] == "ERROR":
                # Whatever its code is: a stream that failed at a version would fail there again.
                raise Gone(self._asked, event["object"].get("code") or 410, event["object"])
            yield Event(event["type"], event["object"])

    def _lines(self) -> Iterator[bytes]:
        rest: list[bytes] = []
        size = 0
        while chunk := self._read():
            *lines, last = chunk.split(b"\n")
            if lines:
                lines[0] = b"".join((*rest, lines[0]))
                rest, size = [], 0
                yield from filter(None, lines)
            if last:
                rest.append(last)
                size += len(last)
            if size > LONGEST:
                raise Unreachable(f"{self._asked}: a line of more than {LONGEST} bytes")
        if rest:
            raise Unreachable(f"{self._asked}: the stream ended within a line")

    def _read(self) -> bytes:
        with no_answer_to(self._asked):
            chunk = self._response.read1(CHUNK)
        self._heard()
        return chunk

    def interrupt(self) -> None:
        """End the stream, from another thread than the one that is blocked in reading it."""
        with suppress(ValueError, RuntimeError, OSError):  # it has ended by itself
            self._response.shutdown()
