"""A lease in memory, as the API server would keep it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from mmaction_operator.kube import AlreadyExists, Conflict, Key, NotFound, Object, Resource, Unreachable
from tests.unit.kube.clock import FakeClock

LEASE = Key("system", "controller")


class Leases:
    """One lease as the API server keeps it: versions, conflicts, and a way to it that may be slow, cut, or one-way."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.lease: Object | None = None
        self.version = 0
        self.down = False
        self.answers_are_lost = False
        self.latency = 0.0

    def get(self, resource: Resource, key: Key) -> Object:
        self.arrive()
        if self.lease is None:
            raise NotFound("get", 404, {})
        return self.answer(self.lease)

    def create(self, resource: Resource, manifest: Mapping[str, Any]) -> Object:
        self.arrive()
        if self.lease is not None:
            raise AlreadyExists("create", 409, {"reason": "AlreadyExists"})
        return self.answer(self.store(manifest))

    def replace(self, resource: Resource, manifest: Mapping[str, Any]) -> Object:
        self.arrive()
        if self.lease is None:
            raise NotFound("update", 404, {})
        if manifest["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise Conflict("update", 409, {})
        return self.answer(self.store(manifest))

    def store(self, manifest: Mapping[str, Any]) -> Object:
        self.version += 1
        self.lease = copy.deepcopy(dict(manifest))
        self.lease["metadata"] = {**manifest["metadata"], "resourceVersion": str(self.version)}
        self.lease["spec"] = {name: value for name, value in self.lease["spec"].items() if value is not None}
        return self.lease

    def arrive(self) -> None:
        self.clock.pass_(self.latency)
        if self.down:
            raise Unreachable("down")

    def answer(self, lease: Object) -> Object:
        self.clock.pass_(self.latency)
        if self.answers_are_lost:
            raise Unreachable("the answer is lost")
        return copy.deepcopy(lease)

    def edit(self, **spec: Any) -> None:
        """Somebody else writes into it."""
        assert self.lease
        self.store({**self.lease, "spec": {**self.lease["spec"], **spec}})

    @property
    def spec(self) -> dict[str, Any]:
        assert self.lease
        spec: dict[str, Any] = self.lease["spec"]
        return spec
