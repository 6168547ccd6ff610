"""A cache of the cluster that calls back: reads cost the API server nothing, and changes wake who should look again.

What a handler is given is an object before and after, not the kind of an event. Kinds invite a program to act on what
has happened; but events coalesce, and some are missed. What is there now is the only thing to act on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .client import Client
from .crew import Crew
from .pace import Clock
from .reflector import USUAL, Reflector, WatchTimes
from .resource import Object, Resource, Selection
from .store import Change, Index, Store

log = logging.getLogger(__name__)

Handler = Callable[[Object | None, Object | None], None]
"""Given an object before and after: None where it was not, or is not any more. The objects are for reading."""

DROPPED = "kubectl.kubernetes.io/last-applied-configuration"


def trim(item: Object) -> Object:
    """An object without what no controller reads and what may be half of it: who set which field, kubectl's copy."""
    metadata: dict[str, Any] = {k: v for k, v in item["metadata"].items() if k != "managedFields"}
    if annotations := metadata.get("annotations"):
        metadata["annotations"] = {k: v for k, v in annotations.items() if k != DROPPED}
    return {**item, "metadata": metadata}


class Informer:
    """The objects of one resource, kept up to date in ``store``.

    Args:
        namespaces: those to look at, each with a list and a watch of its own. Default none named: all, with one watch.
        labels: a label selector, such as ``app=trainer``. Default: any labels.
        fields: a field selector. Default: any fields.
        trim: what to keep of each object. Default: all but managedFields and kubectl's copy of the object.
        indexes: of the store, beside that by owner. Default none.
        times: see ``WatchTimes``.
        clock: default time.monotonic.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        *,
        namespaces: Sequence[str] = (),
        labels: str = "",
        fields: str = "",
        trim: Callable[[Object], Object] = trim,
        indexes: Mapping[str, Index] | None = None,
        times: WatchTimes = USUAL,
        clock: Clock = time.monotonic,
    ) -> None:
        self.resource, self.store = resource, Store(indexes)
        self._handlers: list[Handler] = []
        selections = [Selection(namespace, labels, fields) for namespace in dict.fromkeys(namespaces) or (None,)]
        self._reflectors = [
            Reflector(client, resource, each, _Part(self, each.namespace), trim=trim, times=times, clock=clock)
            for each in selections
        ]

    def on_change(self, handler: Handler) -> None:
        """Have a handler called, in the informer's thread, for each change; to be said before ``start``."""
        self._handlers.append(handler)

    def start(self, crew: Crew) -> None:
        """List and watch from now on, in threads of the crew."""
        for number, reflector in enumerate(self._reflectors):
            crew.start(f"informer {self.resource} {number}", reflector.run)

    def stop(self) -> None:
        """Let the threads end, at once."""
        for reflector in self._reflectors:
            reflector.stop()

    @property
    def synced(self) -> bool:
        """Whether the store has once held everything that there was."""
        return all(reflector.synced for reflector in self._reflectors)

    @property
    def seconds_since_last_byte(self) -> float:
        """For how long the server has not been heard from, on the watch where that is longest."""
        return max(reflector.silence for reflector in self._reflectors)

    @property
    def lists(self) -> int:
        """How many lists were read, the first ones included."""
        return sum(reflector.lists for reflector in self._reflectors)

    @property
    def watches(self) -> int:
        """How many watches were begun."""
        return sum(reflector.watches for reflector in self._reflectors)

    def notify(self, change: Change | None) -> None:
        """Tell the handlers, none of which can keep the others, or the next change, from being heard of."""
        for handler in self._handlers if change else ():
            assert change is not None
            try:
                handler(change.old, change.new)
            except Exception:
                log.exception("a handler of %s failed", self.resource)


class _Part:
    """The part of an informer's store that one reflector fills."""

    def __init__(self, informer: Informer, namespace: str | None) -> None:
        self._informer, self._namespace = informer, namespace

    def replaced(self, objects: list[Object]) -> None:
        for change in self._informer.store.replace(objects, self._namespace):
            self._informer.notify(change)

    def changed(self, item: Object) -> None:
        self._informer.notify(self._informer.store.put(item))

    def deleted(self, item: Object) -> None:
        self._informer.notify(self._informer.store.remove(item))
