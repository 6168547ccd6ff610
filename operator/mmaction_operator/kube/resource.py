"""The names of things: which resource, which object of it, which objects of it.

A controller never passes objects around, only their names: what an object looked like when somebody began to talk
about it is history by the time that somebody else acts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

Object = dict[str, Any]
"""A Kubernetes object as JSON has it."""


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """The name of an object among those of its resource; ``namespace`` is empty where it has none."""

    namespace: str
    name: str

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Key:
        """The key of an object."""
        metadata = item["metadata"]
        return cls(metadata.get("namespace", ""), metadata["name"])

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object that the API server keeps; ``group`` is empty for the core's."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """``apiVersion`` of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str = "", subresource: str = "") -> str:
        """Path of the collection, in one namespace or (None) in all; of one object; or of a part of it."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts += [self.plural, name, subresource]
        return "/" + "/".join(quote(part, safe="") for part in parts if part)

    def path_of(self, key: Key, subresource: str = "") -> str:
        """Path of one object, or of a part of it."""
        return self.path(key.namespace, key.name, subresource)

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of a resource are listed and watched; the server selects, so that the rest is never sent.

    Args:
        namespace: one namespace. Default None: all.
        labels: a label selector, such as ``app=trainer,tier!=test``. Default empty: any labels.
        fields: a field selector, such as ``metadata.name=one``. Default empty: any fields.
    """

    namespace: str | None = None
    labels: str = ""
    fields: str = ""

    @property
    def query(self) -> dict[str, str]:
        """Its part of a request's query."""
        return {k: v for k, v in (("labelSelector", self.labels), ("fieldSelector", self.fields)) if v}


EVERYTHING = Selection()


def version_of(item: Mapping[str, Any]) -> str:
    """``resourceVersion`` of an object or list; empty where it has none."""
    return str(item["metadata"].get("resourceVersion", ""))


def precedes(version: str, other: str) -> bool:
    """Whether a version is an earlier one of the same resource; if they are no numbers, nobody can say so."""
    return version.isdecimal() and other.isdecimal() and int(version) < int(other)


def controller_of(item: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The owner reference that says who controls an object; there is at most one."""
    owners = item["metadata"].get("ownerReferences") or ()
    return next((owner for owner in owners if owner.get("controller")), None)
