"""Storage whose network and server fail in turns, as a seed says."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from tests.cluster.fault_proxy import FaultProxy, Link
from tests.cluster.s3 import S3Server
from tests.cluster.s3_faults import Answer, Forward, Request, in_front_of, refusal

PORT = 9100
REFUSALS = {
    "busy": refusal(503, "SlowDown", "Please reduce your request rate."),
    "broken": refusal(500, "InternalError", "We encountered an internal error."),
    "denied": refusal(403, "AccessDenied", "Access Denied."),
}
ON_THE_WAY: dict[str, Callable[[Link], None]] = {
    "cut": Link.cut,
    "slow": lambda link: link.add("bandwidth", rate=400),
    "far": lambda link: link.add("latency", latency=800, jitter=400),
    "upload truncated": lambda link: link.add("limit_data", towards="server", bytes=200_000),
    "download truncated": lambda link: link.add("limit_data", bytes=2_000),
    "reset": lambda link: link.add("reset_peer", timeout=100),
}
KINDS = (*REFUSALS, *ON_THE_WAY)


class Weather:
    """A way to an S3 server, and what is wrong with it now.

    Args:
        link: the way to what ``answer`` is in front of.
    """

    def __init__(self, link: Link) -> None:
        self.link, self.refusing = link, ""
        self.log: list[str] = []
        self.over = threading.Event()

    def answer(self, request: Request, forward: Forward) -> Answer:
        """What the server's side does with a request."""
        return REFUSALS[self.refusing] if self.refusing else forward(request)

    def turn(self, kind: str = "") -> None:
        """Have this fault, and no other; none where it is empty."""
        self.link.mend()
        self.refusing = kind if kind in REFUSALS else ""
        if kind in ON_THE_WAY:
            ON_THE_WAY[kind](self.link)
        self.log.append(kind or "fair")

    @contextmanager
    def storms(self, seed: int, count: int) -> Iterator[None]:
        """So many faults, each followed by fair weather, while the body runs; fair weather after them."""
        thread = threading.Thread(target=self._storms, args=(random.Random(seed), count), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.over.set()
            thread.join()
            self.turn()

    def _storms(self, chance: random.Random, count: int) -> None:
        for _ in range(count):
            for kind, longest in ((chance.choice(KINDS), 6.0), ("", 4.0)):
                self.turn(kind)
                if self.over.wait(chance.uniform(0.5, longest)):
                    return


@contextmanager
def under_weather(server: S3Server, proxy: FaultProxy) -> Iterator[tuple[S3Server, Weather]]:
    """The server as it is seen from where there is weather, and the weather."""
    weathers: list[Weather] = []

    def answer(request: Request, forward: Forward) -> Answer:
        return weathers[0].answer(request, forward)

    with in_front_of(server, answer) as near:
        link = proxy.link(f"weather-{time.monotonic_ns()}", near.endpoint.removeprefix("http://"), PORT)
        weathers.append(Weather(link))
        try:
            yield replace(server, endpoint=f"http://{link.endpoint}"), weathers[0]
        finally:
            link.remove()
