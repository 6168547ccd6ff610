"""What can go wrong between a controller and the API server.

KubeError
├── Unreachable             no answer, or half of one: nobody knows whether what was asked has been done
└── Refused                 an answer that says no: nothing has been done
    ├── Unauthorized        401  the credentials are not valid (any more)
    ├── Forbidden           403  RBAC, a quota or an admission plugin says no; or the namespace is ending
    ├── NotFound            404  there is no such object, or no such resource
    ├── Conflict            409  somebody else changed it first, or owns the field
    │   └── AlreadyExists        the name is taken
    ├── Gone                410  the versions from there on are no longer kept: list anew
    ├── Invalid             400, 422  the object or the request is wrong in itself: asking again does not help
    ├── TooManyRequests     429
    └── Unavailable         5xx  the server's own trouble

A reconcile lets them all pass, as the controller comes back to the key with backoff. It catches those that mean
something to it: mostly NotFound, Conflict and Invalid.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class KubeError(Exception):
    """Anything that went wrong between this program and the API server."""


class Unreachable(KubeError):
    """There was no whole answer: refused, reset, timed out, cut off, or not verified by TLS."""


class Refused(KubeError):
    """The API server said no.

    Args:
        asked: what was asked, such as ``apply configmaps default/one``.
        code: the HTTP status.
        status: the server's metav1.Status, as far as it sent one.
        retry_after: seconds that the server wants to be left alone for, if it said so.
    """

    def __init__(self, asked: str, code: int, status: Mapping[str, Any], retry_after: float | None = None) -> None:
        self.asked, self.code, self.status, self.retry_after = asked, code, status, retry_after
        super().__init__(f"{asked}: {code} {self.reason}: {self.message}")

    @property
    def reason(self) -> str:
        """One word from the server, such as AlreadyExists."""
        return str(self.status.get("reason") or "no reason")

    @property
    def message(self) -> str:
        """A sentence from the server."""
        return str(self.status.get("message") or "no message")


class Unauthorized(Refused):
    """The credentials are not valid, or not any more."""


class Forbidden(Refused):
    """RBAC, a quota or an admission plugin says no, or the namespace is ending."""


class NotFound(Refused):
    """There is no such object, or no such resource."""


class Conflict(Refused):
    """Somebody else changed the object first, or owns the field."""


class AlreadyExists(Conflict):
    """The name is taken."""


class Gone(Refused):
    """The versions asked for are no longer kept: list anew."""


class Invalid(Refused):
    """The object or the request is wrong in itself."""


class TooManyRequests(Refused):
    """The server wants to be asked less."""


class Unavailable(Refused):
    """The server's own trouble."""


_CLASSES: Mapping[int, type[Refused]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}


def refusal(asked: str, code: int, body: bytes, retry_after: float | None = None) -> Refused:
    """The error for an answer, whatever stands in it: a proxy on the way may have written it."""
    try:
        status = json.loads(body)
    except ValueError:
        status = None
    if not isinstance(status, dict):
        status = {"message": body[:500].decode(errors="replace").strip()}
    return refusal_by(asked, code, status, retry_after)


def refusal_by(asked: str, code: int, status: Mapping[str, Any], retry_after: float | None = None) -> Refused:
    """The error for a metav1.Status."""
    kind = _CLASSES.get(code, Unavailable if code >= 500 else Refused)
    if code == 409 and status.get("reason") == "AlreadyExists":
        kind = AlreadyExists
    return kind(asked, code, status, retry_after)
