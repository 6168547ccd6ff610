"""The newest progress, posted to the controller beside the training and never in its way.

A thread looks at ``progress.json`` every two seconds, and posts it if it changed. A post that is lost costs nothing, as
the next one says more. http.client follows no redirect and uses no proxy, so the token reaches the URL's own host or
nobody.
"""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Self
from urllib.parse import SplitResult, urlsplit

from mmaction_trainer.contract import pod

SECONDS_BETWEEN_POSTS = 2.0
SECONDS_TO_ANSWER = 3.0
"""To connect, and for each read after that."""

TRIES = 5
"""Of one post, where the answer is that another replica of the controller has to hear it: each connection is to any."""

SECONDS_AT_THE_END = 3.0
"""How long the last post may hold up the end of the launcher."""


class Lost(Exception):
    """A post was not accepted. Its text quotes neither the token nor the server, which may repeat the token."""


@dataclass(frozen=True)
class Receiver:
    """Who receives progress: the URL, the file with the token, and the file with authorities if they are its own."""

    url: SplitResult
    token_file: Path
    authorities: Path | None

    @classmethod
    def of_environment(cls) -> Self | None:
        """The receiver that the environment names; None if it names none that can be used."""
        text, token_file = os.environ.get(pod.PROGRESS_URL), os.environ.get(pod.PROGRESS_TOKEN_FILE)
        if not text:
            return None
        if not token_file:
            print(f"{pod.PROGRESS_TOKEN_FILE}: not set; progress is not posted", flush=True)
            return None
        try:
            url = urlsplit(text)
            usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
        except ValueError:
            usable = False
        if not usable:
            print(f"{pod.PROGRESS_URL}: no URL of http:// or https://; progress is not posted", flush=True)
            return None
        authorities = os.environ.get(pod.PROGRESS_CA)
        return cls(url, Path(token_file), Path(authorities) if authorities else None)

    def __str__(self) -> str:
        return f"{self.url.scheme}://{self.url.netloc.rpartition('@')[2]}{self.url.path}"

    def accept(self, body: bytes) -> None:
        """Post a body of JSON.

        Raises:
            Lost: it was not accepted, or not in time.
        """
        try:
            headers = {
                "Authorization": f"Bearer {self.token_file.read_text().strip()}",
                "Connection": "close",
                "Content-Type": "application/json",
            }
        except (OSError, ValueError) as error:
            raise Lost(f"{self.token_file} cannot be read: {reason(error)}") from None
        status = 0
        for _ in range(TRIES):
            try:
                status = self.post(body, headers)
            except (OSError, HTTPException, ValueError) as error:
                raise Lost(reason(error)) from None
            if status != HTTPStatus.SERVICE_UNAVAILABLE:
                break
        if not 200 <= status < 300:
            raise Lost(f"status {status}")

    def post(self, body: bytes, headers: Mapping[str, str]) -> int:
        """The status that one request is answered with."""
        connection = self.connection()
        try:
            connection.request("POST", self.target(), body=body, headers=headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def connection(self) -> HTTPConnection:
        """A connection that is made at the first request, to the URL's host alone."""
        host = self.url.hostname or ""
        if self.url.scheme == "http":
            return HTTPConnection(host, self.url.port, timeout=SECONDS_TO_ANSWER)
        context = ssl.create_default_context(cafile=self.authorities)
        return HTTPSConnection(host, self.url.port, timeout=SECONDS_TO_ANSWER, context=context)

    def target(self) -> str:
        """The path and the query, as the request line has them."""
        return (self.url.path or "/") + (f"?{self.url.query}" if self.url.query else "")


def reason(error: Exception) -> str:
    """What hindered a post: the system's words, else the exception's class, as its text may quote a header."""
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__


class Posting:
    """Posts the newest content of a file until ``finish``.

    Args:
        path: the file with the progress; it may not be there yet.
        receiver: who receives it.
    """

    def __init__(self, path: Path, receiver: Receiver) -> None:
        self.path, self.receiver = path, receiver
        self.accepted = b""
        self.failing = False
        self.ending = threading.Event()
        self.speaking, self.silent = threading.Lock(), False
        self.thread = threading.Thread(target=self.keep_posting, name="progress", daemon=True)

    def start(self) -> None:
        """Begin to post."""
        self.thread.start()

    def finish(self) -> None:
        """Post what is newest now, and return when that is done or ``SECONDS_AT_THE_END`` are over."""
        self.ending.set()
        self.thread.join(SECONDS_AT_THE_END)
        with self.speaking:  # A thread that writes while the interpreter ends would abort it.
            self.silent = True

    def keep_posting(self) -> None:
        """The thread's body."""
        while True:
            last = self.ending.is_set()
            self.post_newest()
            if last:
                return
            self.ending.wait(SECONDS_BETWEEN_POSTS)

    def post_newest(self) -> None:
        """Post what the file holds, unless that was accepted before."""
        try:
            newest = self.path.read_bytes()
        except OSError:
            return  # there is none yet
        if newest == self.accepted:
            return
        try:
            self.receiver.accept(newest)
        except Lost as lost:
            if not self.failing:
                self.say(f"progress is not received by {self.receiver}: {lost}; the training goes on")
            self.failing = True
            return
        if self.failing:
            self.say(f"progress is received again by {self.receiver}")
        self.accepted, self.failing = newest, False

    def say(self, line: str) -> None:
        """Print a line, unless the launcher has ended."""
        with self.speaking:
            if not self.silent:
                print(line, flush=True)
