"""A TCP proxy that cuts, slows and truncates what passes: toxiproxy, and the few requests that steer it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .process import running
from .programs import program
from .s3 import answers
from .slot import hold_slot

PORT = 8474


@dataclass(frozen=True)
class Link:
    """A way to a server that goes through the proxy."""

    proxy: FaultProxy
    name: str
    endpoint: str

    def add(
        self, toxic: str, *, towards: Literal["client", "server"] = "client", share: float = 1.0, **attributes: int
    ) -> None:
        """Make the way bad.

        Args:
            toxic: what toxiproxy calls it: latency (ms), bandwidth (KB/s), timeout (ms), reset_peer, limit_data
                (bytes) ...
            towards: which way the bytes go that suffer.
            share: of the connections.
            attributes: the toxic's own.
        """
        stream = "downstream" if towards == "client" else "upstream"
        body = {"name": toxic, "type": toxic, "stream": stream, "toxicity": share, "attributes": attributes}
        self.proxy.ask("POST", f"/proxies/{self.name}/toxics", body)

    def cut(self) -> None:
        """End every connection and refuse new ones."""
        self.proxy.ask("POST", f"/proxies/{self.name}", {"enabled": False})

    def mend(self) -> None:
        """Make the way good again."""
        self.proxy.ask("POST", f"/proxies/{self.name}", {"enabled": True})
        for toxic in self.proxy.ask("GET", f"/proxies/{self.name}/toxics"):
            self.proxy.ask("DELETE", f"/proxies/{self.name}/toxics/{toxic['name']}")

    def remove(self) -> None:
        """Take the way away."""
        self.proxy.ask("DELETE", f"/proxies/{self.name}")


@dataclass(frozen=True)
class FaultProxy:
    """A running proxy."""

    address: str

    def link(self, name: str, upstream: str, port: int) -> Link:
        """A new way to ``upstream`` (HOST:PORT), which answers at ``port`` of the proxy's address."""
        listen = f"{self.address}:{port}"
        self.ask("POST", "/proxies", {"name": name, "listen": listen, "upstream": upstream, "enabled": True})
        return Link(self, name, listen)

    def ask(self, method: str, path: str, body: object = None) -> list[dict[str, str]]:
        """One request to the proxy's own API."""
        request = urllib.request.Request(
            f"http://{self.address}:{PORT}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            content = answer.read()
        return json.loads(content) if content else []


@contextmanager
def start_fault_proxy() -> Iterator[FaultProxy]:
    """A fault proxy for as long as the body runs."""
    with hold_slot() as slot, serve_fault_proxy(slot.loopback, slot.folder) as proxy:
        yield proxy


@contextmanager
def serve_fault_proxy(address: str, folder: Path) -> Iterator[FaultProxy]:
    """toxiproxy at an address of this machine."""
    command: list[str | Path] = [program("toxiproxy"), "-host", address, "-port", str(PORT)]
    with running("toxiproxy", command, folder) as process:
        process.wait_until(lambda: answers(f"http://{address}:{PORT}/version"))
        yield FaultProxy(address)
