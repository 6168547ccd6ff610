"""What one process keeps in memory of jobs that are not over. All of it may be lost: the cluster has the rest."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from mmaction_operator.kube import precedes
from mmaction_operator.render import Rendered
from mmaction_trainer.contract.errors import ConfigFailure

SECONDS_UNSEEN = 30.0
"""Until the server is asked for what should have been seen by then."""


@dataclass
class Memory:
    """What is kept of one job.

    Attributes:
        uid: the job's.
        oldest: the version that the job has to be of, at least, to be acted on: what this process wrote last, or its
            predecessor. Acting on an older one may begin anew what is over.
        since: when that was learned, in seconds of the clock.
        unsure: whether that is to be asked for, as a write was not answered.
        quiet_since: when something was last made or said; None before the first look.
        refused: why the API server did not take what should exist next.
        has_config: whether the job's ConfigMap is there.
    """

    uid: str
    oldest: str = ""
    since: float = 0.0
    unsure: bool = False
    quiet_since: float | None = None
    refused: str = ""
    has_config: bool = False

    def expect(self, version: str, now: float) -> None:
        """From now on, act on nothing older than this version."""
        self.oldest, self.since, self.unsure = version, now, False

    def is_outdated(self, version: str, now: float) -> bool:
        """Whether a version is too old to be acted on; the newer one is on its way.

        Where it does not come, the server is asked what it has: an etcd that was restored from a backup counts anew.
        """
        outdated = precedes(version, self.oldest)
        self.unsure |= outdated and now - self.since >= SECONDS_UNSEEN
        return outdated


class Remembered:
    """What was computed for the jobs that were last asked about."""

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._known: OrderedDict[str, Rendered | ConfigFailure] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, uid: str, compute: Callable[[], Rendered | ConfigFailure]) -> Rendered | ConfigFailure:
        """What is known, computed if nothing is."""
        with self._lock:
            if uid in self._known:
                self._known.move_to_end(uid)
                return self._known[uid]
        found = compute()
        with self._lock:
            self._known[uid] = found
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        return found

    def forget(self, uid: str) -> None:
        """Drop what is known of a job."""
        with self._lock:
            self._known.pop(uid, None)
