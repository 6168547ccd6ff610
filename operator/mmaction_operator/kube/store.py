"""What the API server holds, as far as it is known here: read by many workers, written by the informer alone.

Each object is kept as bytes, and every read makes an object of its own from them. That is a few microseconds (marshal
copies a pod five times as fast as copy.deepcopy), it takes a fraction of the memory of the object, and nobody who
changes what was given can change what others will be given.

A controller's most frequent question is not for an object by its name but for the children of an owner, so those are
indexed; any other question can be, by a function from an object to the values under which it is to be found.
"""

from __future__ import annotations

import marshal
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from .resource import Key, Object, controller_of, precedes, version_of

Index = Callable[[Object], Iterable[str]]
"""Under which values an object is found. Must say the same of the same object every time."""

OWNER = "controller owner's uid"


@dataclass(frozen=True)
class Change:
    """An object before and after; None where it was not, or is not any more. Never both."""

    old: Object | None
    new: Object | None


def owner_uids(item: Object) -> list[str]:
    """The uid of an object's controller owner, if it has one."""
    owner = controller_of(item)
    return [owner["uid"]] if owner else []


class Store:
    """Objects of one resource by key, and by indexes.

    Args:
        indexes: more of them, by name. Default: by owner alone.
    """

    def __init__(self, indexes: Mapping[str, Index] | None = None) -> None:
        self._functions: dict[str, Index] = {OWNER: owner_uids, **(indexes or {})}
        self._packed: dict[Key, bytes] = {}
        self._indexed: dict[str, dict[str, set[Key]]] = {name: {} for name in self._functions}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._packed)

    def get(self, key: Key) -> Object | None:
        """An object, if there is one of that key."""
        with self._lock:
            packed = self._packed.get(key)
        return _unpack(packed) if packed else None

    def all(self) -> list[Object]:
        """Every object. An index is faster where only some are wanted."""
        with self._lock:
            packed = list(self._packed.values())
        return [_unpack(each) for each in packed]

    def children(self, uid: str) -> list[Object]:
        """The objects that an owner controls."""
        return self.by(OWNER, uid)

    def by(self, index: str, value: str) -> list[Object]:
        """The objects that an index has under a value."""
        with self._lock:
            packed = [self._packed[key] for key in sorted(self._indexed[index].get(value, ()))]
        return [_unpack(each) for each in packed]

    def values(self, index: str) -> dict[str, frozenset[Key]]:
        """A whole index: the keys under each value. No object is read for it."""
        with self._lock:
            return {value: frozenset(keys) for value, keys in self._indexed[index].items()}

    def put(self, item: Object) -> Change | None:
        """Take an item in; None if the same or a newer version of it is here."""
        with self._lock:
            return self._put(item)

    def remove(self, item: Object) -> Change | None:
        """Drop an object that was deleted; None if it is not here, or a newer one is."""
        with self._lock:
            old = self._old(key := Key.of(item))
            if old is None or precedes(version_of(item), version_of(old)):
                return None
            return self._drop(key, old)

    def replace(self, objects: Iterable[Object], namespace: str | None = None) -> list[Change]:
        """Make a whole list, of one namespace or (None) of all, what is here; what that changed, deletions included.

        Versions are not compared: after a restore from a backup, the server's are lower than ours, and right.
        """
        listed = {Key.of(item): item for item in objects}
        with self._lock:
            here = [key for key in self._packed if namespace in (None, key.namespace)]
            changes = [self._drop(key, self._old(key)) for key in here if key not in listed]
            return changes + [change for item in listed.values() if (change := self._put(item, force=True))]

    def _put(self, item: Object, *, force: bool = False) -> Change | None:
        key = Key.of(item)
        old = self._old(key)
        if old is not None and (
            version_of(old) == version_of(item) or (not force and precedes(version_of(item), version_of(old)))
        ):
            return None
        terms = self._terms(item)  # before anything is changed: these functions may fail
        if old is not None:
            self._drop(key, old)
        self._packed[key] = marshal.dumps(item)
        for index, value in terms:
            self._indexed[index].setdefault(value, set()).add(key)
        return Change(old, item)

    def _drop(self, key: Key, old: Object | None) -> Change:
        del self._packed[key]
        for index, value in self._terms(old) if old else ():
            keys = self._indexed[index][value]
            keys.discard(key)
            if not keys:
                del self._indexed[index][value]
        return Change(old, None)

    def _old(self, key: Key) -> Object | None:
        packed = self._packed.get(key)
        return _unpack(packed) if packed else None

    def _terms(self, item: Object) -> set[tuple[str, str]]:
        return {(name, value) for name, function in self._functions.items() for value in function(item)}


def _unpack(packed: bytes) -> Object:
    item: Object = marshal.loads(packed)
    return item
