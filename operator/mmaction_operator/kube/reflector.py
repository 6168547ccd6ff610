"""List, then watch, for ever: one selection of objects mirrored into whatever takes it in.

The whole difficulty is in how a watch ends. It ends all the time: after the minutes that were asked for, because a
server is replaced, because a proxy cuts it, or not at all, because the other side has vanished and nobody told us. So:

- **In order**: the next watch goes on from the last version heard of. Bookmarks keep that recent where nothing changes.
- **410 Gone**, as a status or within the stream: changes have been missed and nobody will tell which. List anew; what
  the list lacks has been deleted, and whoever takes this in must find out.
- **Silence**: a server sends a bookmark every minute or two; a stream that is silent for much longer is given up, and
  the next one goes on from the last version. From a server without bookmarks that costs one request each time.
- **Anything else**: wait, longer each time, with jitter, and go on. There is no error at which it is better to stop.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from .client import Client
from .errors import Gone, Invalid, KubeError, NotFound, Unreachable
from .pace import Backoff, Clock
from .resource import Object, Resource, Selection, version_of
from .watch import Event, Watch

log = logging.getLogger(__name__)

AT_ONCE = 1.0
"""Seconds that a watch without an event has to last, or it counts as failed: nothing else would slow the loop."""


class Mirror(Protocol):
    """What takes the objects in."""

    def replaced(self, objects: list[Object]) -> None:
        """These are all that there are."""

    def changed(self, item: Object) -> None:
        """This one is new or different."""

    def deleted(self, item: Object) -> None:
        """This one, as it was last, is no more."""


@dataclass(frozen=True)
class WatchTimes:
    """How long things may take.

    Args:
        shortest: seconds that a watch is asked for, at least. Default 300.
        longest: at most; a random time between the two keeps watches from ending together. Default 600.
        silence: seconds without a byte after which a watch is given up. Default 240: the server's bookmarks come
            every one or two minutes.
        backoff: between failures. Default 0.8 s, doubled up to 10 s, and up to as much again at random: who waits for
            a server that was away must not wait for long after it.
    """

    shortest: float = 300.0
    longest: float = 600.0
    silence: float = 240.0
    backoff: Backoff = field(default_factory=lambda: Backoff(first=0.8, most=10.0, jitter=1.0))


USUAL = WatchTimes()


class Reflector:
    """Keeps a mirror of a selection. ``run`` returns only when told to stop.

    Args:
        trim: what to keep of each object.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        selection: Selection,
        mirror: Mirror,
        *,
        trim: Callable[[Object], Object],
        times: WatchTimes,
        clock: Clock,
    ) -> None:
        self._client, self._resource, self._selection, self._mirror = client, resource, selection, mirror
        self._trim, self._times, self._clock = trim, times, clock
        self._stopping = threading.Event()
        self._watch: Watch | None = None
        self._version: str | None = None
        self._failures = 0
        self._heard_at = clock()
        self.synced = False
        self.lists = 0
        self.watches = 0

    @property
    def silence(self) -> float:
        """Seconds since the server was last heard from."""
        return self._clock() - self._heard_at

    def stop(self) -> None:
        """End soon, even while waiting for the server's next word."""
        self._stopping.set()
        if watch := self._watch:
            watch.interrupt()

    def run(self) -> None:
        """List and watch until told to stop."""
        while not self._stopping.is_set():
            try:
                self._list_if_needed()
                self._follow()
            except Exception as error:
                if self._stopping.is_set():
                    return
                self._stopping.wait(self._after(error))

    def _after(self, error: Exception) -> float:
        """Draw the conclusions from a failure; how long to wait."""
        if not isinstance(error, KubeError) or isinstance(error, (Gone, Invalid, NotFound)):
            # After a bug of ours too: what it kept us from taking in will not be sent again.
            self._version = None
        self._failures += 1
        wait = self._times.backoff.after(self._failures)
        bug = None if isinstance(error, KubeError) else error
        log.warning("%s: %s; again in %.1f s", self._resource, error, wait, exc_info=bug)
        return wait

    def _list_if_needed(self) -> None:
        if self._version is not None:
            return
        listing = self._client.list(self._resource, self._selection, trim=self._trim)
        self._heard()
        self._mirror.replaced(listing.objects)
        self._version = listing.version
        self.lists += 1
        self.synced = True

    def _follow(self) -> None:
        begun, events = self._clock(), 0
        with self._open() as self._watch:
            if self._stopping.is_set():
                return  # stop() came before there was a watch to interrupt
            for event in self._watch:
                self._take(event)
                events += 1
                self._failures = 0
        if not events and self._clock() - begun < AT_ONCE and not self._stopping.is_set():
            raise Unreachable(f"watch {self._resource}: ended as soon as it had begun")

    def _open(self) -> Watch:
        assert self._version is not None
        self.watches += 1
        watch = self._client.watch(
            self._resource,
            self._selection,
            version=self._version,
            seconds=random.uniform(self._times.shortest, self._times.longest),
            silence=self._times.silence,
            heard=self._heard,
        )
        self._heard()
        return watch

    def _take(self, event: Event) -> None:
        item = self._trim(event.object)
        if event.type == "DELETED":
            self._mirror.deleted(item)
        elif event.type in ("ADDED", "MODIFIED"):
            self._mirror.changed(item)
        self._version = version_of(event.object) or self._version

    def _heard(self) -> None:
        self._heard_at = self._clock()
