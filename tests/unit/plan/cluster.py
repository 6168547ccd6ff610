"""A cluster in memory: an API server that logs every change, and controllers that have seen each kind up to some point.

The server keeps the rules that the controller counts on: a name is taken once, a status is written by uid and, where
one is given, by version, and what has lost its owner is removed. Everything above the connection is the product's own.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

from mmaction_operator.controller.board import ProgressBoard
from mmaction_operator.controller.reconciler import Reconciler
from mmaction_operator.controller.resources import BY_TRAINJOB, trainjob_uid
from mmaction_operator.kube import Client, EventRecorder, Key, Patience, Store, Unreachable, controller_of
from mmaction_operator.kube.connection import Connection, Request
from mmaction_operator.kube.errors import refusal_by
from mmaction_operator.plan import Settings
from mmaction_operator.ports import PortRange, PortRegistry

Object = dict[str, Any]

WATCHED = ("trainjobs", "jobs", "pods")
PORTS = PortRange(20000, 20005)
"""Few, so that jobs meet on them."""
PATH = re.compile(r"/(?:api|apis/[^/]+)/[^/]+/namespaces/([^/]+)/([^/]+)(?:/([^/]+))?(/status)?")


class Killed(BaseException):
    """The controller's process ends, at this very request."""


class Cluster(Connection):
    """The API server, and the time.

    Attributes:
        log: by kind, every change of what is watched: the object, and whether it was removed.
        changes: how many there were, of anything.
        made: told of each object that the controller makes, before it is there.
        trouble: what befalls the controller's next writes, one each: ``lost`` and ``killed`` before the server hears of
            it, ``unanswered`` and ``killed afterwards`` when it is done; empty for nothing.
    """

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        self.objects: dict[tuple[str, Key], Object] = {}
        self.log: dict[str, list[tuple[Object, bool]]] = {kind: [] for kind in WATCHED}
        self.changes = 0
        self.made: Callable[[str, Object], None] = lambda kind, item: None
        self.trouble: list[str] = []
        self._uids = itertools.count(1)

    def later(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)

    def all(self, kind: str) -> list[Object]:
        """Every object of a kind as it is now."""
        return [item for (of, _), item in self.objects.items() if of == kind]

    def put(self, kind: str, item: Mapping[str, Any]) -> Object:
        """Make an object, or another version of it."""
        new = deepcopy(dict(item))
        new["metadata"].setdefault("uid", f"uid-{next(self._uids)}")
        new["metadata"].setdefault("creationTimestamp", self.now.isoformat())
        self.objects[kind, Key.of(new)] = self._logged(kind, new, removed=False)
        return new

    def change(self, kind: str, key: Key, **fields: Any) -> None:
        """Set fields of an object."""
        self.put(kind, {**self.objects[kind, key], **fields})

    def remove(self, kind: str, key: Key) -> None:
        """Remove an object, and what it owns."""
        gone = self._logged(kind, deepcopy(self.objects.pop((kind, key))), removed=True)
        for (of, other), item in list(self.objects.items()):
            owner = controller_of(item)
            if owner and owner["uid"] == gone["metadata"]["uid"]:
                self.remove(of, other)

    def _logged(self, kind: str, item: Object, *, removed: bool) -> Object:
        self.changes += 1
        item["metadata"]["resourceVersion"] = str(self.changes)
        if kind in self.log:
            self.log[kind].append((item, removed))
        return item

    def ask(self, request: Request) -> bytes:
        """Answer a request of the controller."""
        found = PATH.fullmatch(request.path)
        assert found, request.path
        namespace, kind, name, status = found.groups()
        if request.method == "GET":
            return json.dumps(self._read(request, kind, namespace, name)).encode()
        trouble = self.trouble.pop(0) if self.trouble else ""
        fail(trouble, {"lost": Unreachable("lost"), "killed": Killed()})
        body = json.loads(request.body or b"{}")
        key = Key(namespace, name or body["metadata"]["name"])
        answer = self._make(request, kind, key, body) if not name else self._write(request, kind, key, body, status)
        fail(trouble, {"unanswered": Unreachable("no answer"), "killed afterwards": Killed()})
        return json.dumps(answer).encode()

    def _read(self, request: Request, kind: str, namespace: str, name: str | None) -> Object:
        if name:
            return self._here(request, kind, Key(namespace, name))
        wanted = dict(label.split("=") for label in request.query["labelSelector"].split(","))
        chosen = [item for item in self.all(kind) if wanted.items() <= item["metadata"].get("labels", {}).items()]
        return {"metadata": {"resourceVersion": str(self.changes)}, "items": chosen}

    def _here(self, request: Request, kind: str, key: Key) -> Object:
        if (kind, key) not in self.objects:
            raise refusal_by(request.asked, 404, {"reason": "NotFound"})
        return self.objects[kind, key]

    def _make(self, request: Request, kind: str, key: Key, body: Object) -> Object:
        if (kind, key) in self.objects:
            raise refusal_by(request.asked, 409, {"reason": "AlreadyExists"})
        self.made(kind, body)
        return self.put(kind, body)

    def _write(self, request: Request, kind: str, key: Key, body: Object, status: str | None) -> Object:
        here = self._here(request, kind, key)
        conditions = body.get("preconditions", {}) if request.method == "DELETE" else body.get("metadata", {})
        for field in ("uid", "resourceVersion"):
            if conditions.get(field, here["metadata"][field]) != here["metadata"][field]:
                raise refusal_by(request.asked, 409, {"reason": "Conflict", "message": field})
        if request.method == "DELETE":
            self.remove(kind, key)
            return {}
        assert status or kind == "events", f"{request.asked}: of what is there, only statuses and events are changed"
        changed = {**here, "status": body["status"]} if status else {**here, **body}
        return here if changed == here else self.put(kind, changed)


def fail(trouble: str, errors: Mapping[str, BaseException]) -> None:
    """Raise what a trouble stands for."""
    if trouble in errors:
        raise errors[trouble]


class Process:
    """A controller's process: what it has seen, of each kind up to a point of its own, and what it keeps in memory.

    Args:
        behind: how many of the newest changes of each kind it has not seen when it begins. Default none: it lists.
    """

    def __init__(self, cluster: Cluster, behind: Mapping[str, int] | None = None) -> None:
        self.cluster = cluster
        self._stores = {"trainjobs": Store(), "jobs": Store(), "pods": Store({BY_TRAINJOB: trainjob_uid})}
        self._points = Counter[str]()
        for kind in WATCHED:
            self.see(kind, len(cluster.log[kind]) - (behind or {}).get(kind, 0))
        client = Client(connection=cluster, field_manager="operator", patience=Patience(attempts=1), limit=None)
        self._reconciler = Reconciler(
            client=client,
            trainjobs=self._stores["trainjobs"],
            jobs=self._stores["jobs"],
            pods=self._stores["pods"],
            registry=PortRegistry(PORTS),
            board=ProgressBoard(),
            events=EventRecorder(client, component="operator", instance="one", clock=self._clock, now=self._now),
            settings=Settings(trainer_image="trainer:v1"),
            now=self._now,
            clock=self._clock,
        )
        self._restored = False

    def see(self, kind: str, most: int | None = None) -> None:
        """Take in what is new of a kind, or the first changes of that."""
        begin = self._points[kind]
        news = self.cluster.log[kind][begin : None if most is None else begin + max(most, 0)]
        for item, removed in news:
            (self._stores[kind].remove if removed else self._stores[kind].put)(item)
        self._points[kind] += len(news)

    def relist(self) -> None:
        """Take everything as it is now, whatever its version."""
        for kind, store in self._stores.items():
            store.replace(self.cluster.all(kind))
            self._points[kind] = len(self.cluster.log[kind])

    def reconcile(self, key: Key) -> float | None:
        """Reconcile a job; what the process before left is taken up before the first."""
        if not self._restored:
            self._reconciler.restore(self.cluster.all("trainjobs"), self.cluster.all("jobs"))
            self._restored = True
        return self._reconciler(key)

    def _now(self) -> datetime:
        return self.cluster.now

    def _clock(self) -> float:
        return self.cluster.now.timestamp()
