"""Names and labels of a job's objects: the same for the same job and attempt, so that a repeat finds what is there."""

from __future__ import annotations

import hashlib

JOB = "mmaction.dev/trainjob"
UID = "mmaction.dev/trainjob-uid"
ATTEMPT = "mmaction.dev/attempt"
PORT = "mmaction.dev/port"
MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "mmaction-operator"
QUEUE = "kueue.x-k8s.io/queue-name"
"""Which of Kueue's queues a job waits in; the rest of what is Kueue's begins as ``KUEUE`` does."""
KUEUE = "kueue.x-k8s.io/"
INDEX = "batch.kubernetes.io/job-completion-index"

PREFLIGHT = 0
"""The attempt that checks and does not train."""
LONGEST = 45
"""A pod's host name is its Job's name and index, and a host name has at most 63 characters."""


def base_of(name: str) -> str:
    """What the names of a job's objects begin with: its own, or the begin of it with a digest of the rest."""
    if len(name) <= LONGEST:
        return name
    return f"{name[: LONGEST - 9].rstrip('-')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def attempt_name(name: str, attempt: int) -> str:
    """Name of an attempt's Job, or of the pod that checks."""
    return f"{base_of(name)}-preflight" if attempt == PREFLIGHT else f"{base_of(name)}-{attempt}"


def config_name(name: str, uid: str) -> str:
    """Name of the ConfigMap that every attempt reads: this very job's, as the controller may not look whose it is."""
    return f"{base_of(name)}-{hashlib.sha256(uid.encode()).hexdigest()[:10]}"


def service_name(name: str) -> str:
    """Name of the Service by which pods of several nodes find the first."""
    return base_of(name)


def labels(name: str, uid: str, attempt: int | None = None) -> dict[str, str]:
    """Labels of everything that belongs to a job, and to one attempt of it where that is given."""
    of_attempt = {} if attempt is None else {ATTEMPT: str(attempt)}
    return {JOB: name, UID: uid, **of_attempt, MANAGED_BY: MANAGER}
