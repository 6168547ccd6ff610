"""What ``kubectl describe`` tells people about an object: Events, said once and counted after that.

Events are for people and may be lost: whatever goes wrong here is logged, and no reconcile fails of it. The name of an
Event follows from what it says, so what a process says again after a crash is counted, not said twice.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .client import Client
from .errors import AlreadyExists, KubeError, NotFound
from .pace import Clock, TokenBucket
from .resource import Key, Object, Resource

log = logging.getLogger(__name__)

EVENTS = Resource("", "v1", "events", "Event")
LONGEST = 1024
"""Characters of a message that the API takes."""


@dataclass
class _Told:
    """What has been said about one object."""

    tokens: TokenBucket
    counts: dict[str, int] = field(default_factory=dict)


class EventRecorder:
    """Tells people about objects. May be used from many threads.

    Args:
        client: a patient one is of no use here; one attempt is enough.
        component: who says it, such as ``trainjob-controller``.
        instance: which process of those, such as the pod's name.
        burst: Events about one object at once. Default 25.
        every: seconds until it may be one more. Default 300.
        objects: how many objects to remember what was said about. Default 4096.
        clock: default time.monotonic.
        now: what is written into Events. Default: the time of day.
    """

    def __init__(
        self,
        client: Client,
        *,
        component: str,
        instance: str,
        burst: int = 25,
        every: float = 300.0,
        objects: int = 4096,
        clock: Clock = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client, self._component, self._instance = client, component, instance
        self._burst, self._every, self._objects, self._clock, self._now = burst, every, objects, clock, now
        self._told: OrderedDict[str, _Told] = OrderedDict()
        self._lock = threading.Lock()

    def record(self, about: Mapping[str, Any], *, reason: str, message: str, warning: bool = False) -> None:
        """Say something about an object.

        Args:
            reason: one word in CamelCase, for programs.
            message: a sentence, for people; cut off after 1024 characters.
            warning: whether somebody should look. Default False.
        """
        message = message if len(message) <= LONGEST else message[: LONGEST - 1] + "…"
        event = self._event(about, reason, message, "Warning" if warning else "Normal")
        told = self._about(about["metadata"]["uid"])
        if not told.tokens.try_take():
            return
        try:
            told.counts[event["metadata"]["name"]] = self._say(event, told.counts.get(event["metadata"]["name"], 0))
        except KubeError as error:
            log.warning("event not recorded: %s: %s: %s", reason, message, error)

    def _about(self, uid: str) -> _Told:
        with self._lock:
            told = self._told.pop(uid, None) or _Told(TokenBucket(1 / self._every, self._burst, self._clock))
            self._told[uid] = told
            if len(self._told) > self._objects:
                self._told.popitem(last=False)
            return told

    def _say(self, event: Object, count: int) -> int:
        """Say it once more; how often it has been said."""
        key = Key.of(event)
        if not count:
            try:
                self._client.create(EVENTS, event)
                return 1
            except AlreadyExists:  # an earlier process said it
                count = self._client.get(EVENTS, key).get("count") or 1
        try:
            self._client.merge(EVENTS, key, {"count": count + 1, "lastTimestamp": event["lastTimestamp"]})
        except NotFound:  # the server keeps Events for an hour
            return self._say(event, 0)
        return count + 1

    def _event(self, about: Mapping[str, Any], reason: str, message: str, kind: str) -> Object:
        metadata = about["metadata"]
        words = (metadata["uid"], self._component, kind, reason, message)
        digest = hashlib.sha256("\0".join(words).encode()).hexdigest()[:16]
        now = self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        regarding = {"apiVersion": about["apiVersion"], "kind": about["kind"], "uid": metadata["uid"]}
        place = {"namespace": metadata["namespace"]} if metadata.get("namespace") else {}
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata['name'][:200]}.{digest}", "namespace": place.get("namespace", "default")},
            "involvedObject": {**regarding, **place, "name": metadata["name"]},
            "type": kind,
            "reason": reason,
            "message": message,
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": self._component, "host": self._instance},
            "reportingComponent": self._component,
            "reportingInstance": self._instance,
        }
