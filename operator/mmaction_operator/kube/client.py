"""The verbs of the Kubernetes API, for any resource: JSON in, JSON out.

Apply what should be, rather than edit what is. ``apply`` is server-side apply: the server remembers who set each field,
so two writers of one object meet in fields and not in whole objects, and saying the same thing twice is harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from urllib3 import BaseHTTPResponse

from .asking import Asking
from .connection import no_answer_to
from .errors import Gone, NotFound
from .resource import EVERYTHING, Key, Object, Resource, Selection, version_of
from .watch import CHUNK, Watch

APPLY = "application/apply-patch+yaml"  # JSON is YAML
MERGE = "application/merge-patch+json"
PODS = Resource("", "v1", "pods", "Pod")
PAGE = 500
Propagation = Literal["Background", "Foreground", "Orphan"]
LISTS = 3
"""How often a list is begun whose pages become too old while it is read."""
NO_OPTIONS: Mapping[str, str] = {}


@dataclass(frozen=True)
class Listing:
    """The objects of a selection, and the version of the whole that they are from."""

    objects: list[Object]
    version: str


class Client(Asking):
    """The API server, for one program; see ``Asking`` for its options."""

    def get(self, resource: Resource, key: Key) -> Object:
        """One object."""
        return self._ask("get", resource, resource.path_of(key))

    def list(
        self,
        resource: Resource,
        selection: Selection = EVERYTHING,
        *,
        page: int = PAGE,
        trim: Callable[[Object], Object] = lambda whole: whole,
    ) -> Listing:
        """All objects of a selection, from one moment, read in pages.

        Args:
            page: objects at most in one answer. Default 500.
            trim: what to keep of each object, so that no more than a page is ever held whole. Default: all of it.
        """
        for _ in range(LISTS):
            try:
                return self._pages(resource, selection, page, trim)
            except Gone as gone:
                error = gone
        raise error

    def _pages(self, resource: Resource, selection: Selection, page: int, trim: Callable[[Object], Object]) -> Listing:
        objects: list[Object] = []
        query = {**selection.query, "limit": str(page)}
        path = resource.path(selection.namespace)
        while True:
            answer = self._ask("list", resource, path, query=query)
            for item in answer["items"] or ():
                # Lists of built-in kinds leave these out of their items.
                objects.append(trim({"apiVersion": resource.api_version, "kind": resource.kind, **item}))
            if not (token := answer["metadata"].get("continue")):
                return Listing(objects, version_of(answer))
            query["continue"] = token

    def watch(
        self,
        resource: Resource,
        selection: Selection = EVERYTHING,
        *,
        version: str,
        seconds: float,
        silence: float,
        heard: Callable[[], None] = lambda: None,
    ) -> Watch:
        """The changes since a version.

        Args:
            seconds: after which the server ends the watch.
            silence: after which a stream that says nothing is given up.
            heard: called for everything that arrives.
        """
        bounds = {"resourceVersion": version, "timeoutSeconds": str(round(seconds)), "allowWatchBookmarks": "true"}
        query = {**selection.query, **bounds, "watch": "true"}
        path = resource.path(selection.namespace)
        return Watch(self._open("watch", resource, path, query=query, read=silence), f"watch {path}", heard)

    def log(
        self, pod: Key, options: Mapping[str, str] = NO_OPTIONS, *, silence: float | None = None
    ) -> Iterator[bytes]:
        """What a pod's only container prints, in pieces as they arrive, to the end of it.

        Args:
            options: as the API has them, such as ``{"follow": "true", "tailLines": "10"}``. Default: what there is.
            silence: seconds without a byte after which the stream is given up. Default: as for any answer.

        Raises:
            Invalid: the container has not begun.
            NotFound: there is no such pod.
            Unreachable: the stream broke off.
        """
        path = PODS.path_of(pod, "log")
        return _pieces(self._open("log", PODS, path, query=options, read=silence), f"log {path}")

    def create(self, resource: Resource, manifest: Mapping[str, Any]) -> Object:
        """Make an object, or have a review (such as a TokenReview) answered.

        Raises:
            AlreadyExists: the name is taken.
        """
        path = resource.path(manifest.get("metadata", {}).get("namespace"))
        query = {"fieldManager": self.field_manager}
        return self._ask("create", resource, path, method="POST", query=query, body=manifest, repeatable=False)

    def apply(
        self,
        resource: Resource,
        manifest: Mapping[str, Any],
        *,
        subresource: str = "",
        force: bool = True,
        dry_run: bool = False,
    ) -> Object:
        """Say what the fields given should be; fields that were given before and are not now are removed.

        Args:
            subresource: such as ``status``. Default: the object itself.
            force: take fields that others set. Default True, as a controller is right about what it controls.
            dry_run: see what would be, and change nothing. Default False.

        Raises:
            Conflict: not ``force``, and somebody else set a field to another value.
        """
        path = resource.path_of(Key.of(manifest), subresource)
        query = {"fieldManager": self.field_manager, "force": str(force).lower()}
        if dry_run:
            query["dryRun"] = "All"
        return self._ask("apply", resource, path, method="PATCH", query=query, body=manifest, content_type=APPLY)

    def apply_status(self, resource: Resource, manifest: Mapping[str, Any]) -> Object:
        """``apply`` to the status subresource; of the object, only names and ``status`` are looked at."""
        return self.apply(resource, manifest, subresource="status")

    def merge(self, resource: Resource, key: Key, patch: Mapping[str, Any], *, subresource: str = "") -> Object:
        """Change the fields given (JSON merge patch: null removes one, a list is replaced as a whole).

        A ``metadata.resourceVersion`` in the patch makes it a Conflict if the object is no longer of that version.
        """
        path = resource.path_of(key, subresource)
        query = {"fieldManager": self.field_manager}
        return self._ask("patch", resource, path, method="PATCH", query=query, body=patch, content_type=MERGE)

    def replace(self, resource: Resource, manifest: Mapping[str, Any]) -> Object:
        """Put an object that was read and changed in the place of the one that was read.

        Raises:
            Conflict: it has changed since.
        """
        query = {"fieldManager": self.field_manager}
        path = resource.path_of(Key.of(manifest))
        return self._ask("update", resource, path, method="PUT", query=query, body=manifest)

    def delete(
        self,
        resource: Resource,
        key: Key,
        *,
        uid: str | None = None,
        version: str | None = None,
        propagation: Propagation = "Background",
    ) -> bool:
        """Delete an object; False if there is none, or not any more.

        Args:
            uid: delete this very object, and not another that has its name now. Default None: whichever.
            version: delete it only as it was at this version. Default None: however it is.
            propagation: whether its children go after it, before it, or stay. Default Background: after.

        Raises:
            Conflict: it is another object, or of another version.
        """
        conditions = {k: v for k, v in (("uid", uid), ("resourceVersion", version)) if v}
        body = {"propagationPolicy": propagation, "preconditions": conditions}
        try:
            self._ask("delete", resource, resource.path_of(key), method="DELETE", body=body)
        except NotFound:
            return False
        return True


def _pieces(response: BaseHTTPResponse, asked: str) -> Iterator[bytes]:
    try:
        while True:
            with no_answer_to(asked):
                piece = response.read1(CHUNK)
            if not piece:
                return
            yield piece
    finally:
        response.close()
