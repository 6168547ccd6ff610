"""The loop: something changed, so look at everything, and bring it closer to what it should be.

A reconcile is told a key and nothing else: not what happened, not the object. It reads what there is from the stores,
decides, writes, and returns. It may be called at any time, twice for one reason or once for ten, after a crash in the
middle of itself; so it must be a function of what is there. Two things follow that are worth knowing:

- A store may not show yet what the last reconcile wrote. Names that follow from the owner, and server-side apply, make
  doing it again harmless.
- To come back later is a return value, to fail is an exception. There is no third way to be called again, and no thread
  of one's own to remember things.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .crew import Crew
from .errors import KubeError
from .informer import Informer
from .leader import Elector, LeadershipLost
from .pace import Clock
from .resource import Key, Object, Resource, controller_of
from .workqueue import WorkQueue

log = logging.getLogger(__name__)

GLANCE = 0.1
"""Seconds between looks at whether caches are filled and this process still leads."""

LEAVING = 5.0
"""Seconds to wait for threads to end, at most; they are daemons, and the process need not wait for them."""

Reconcile = Callable[[Key], float | None]
"""Brings what a key names closer to what it should be; seconds until it wants to be called again, or None."""

Keys = Callable[[Object], Iterable[Key]]
"""Whom a change of an object concerns."""


def itself(item: Object) -> list[Key]:
    """A change concerns the object that changed."""
    return [Key.of(item)]


def controller_in(resource: Resource) -> Keys:
    """A change concerns the object of that resource which controls the one that changed."""

    def keys(item: Object) -> list[Key]:
        owner = controller_of(item)
        if not owner or owner["kind"] != resource.kind or owner["apiVersion"].rpartition("/")[0] != resource.group:
            return []
        return [Key(item["metadata"].get("namespace", "") if resource.namespaced else "", owner["name"])]

    return keys


@dataclass(frozen=True)
class Reconciled:
    """One reconcile that ended, for metrics; ``error`` is None where it succeeded."""

    key: Key
    seconds: float
    error: Exception | None


class Controller:
    """Informers, a queue and workers around one ``reconcile``.

    Args:
        workers: threads that reconcile, each another key. Default 8.
        grace: seconds that workers have, at the end, to finish what they began. Default 20: a pod has 30 to end.
        queue: default: a WorkQueue with its defaults.
        observe: told of each reconcile. Default: nobody.
        clock: default time.monotonic.
    """

    def __init__(
        self,
        reconcile: Reconcile,
        *,
        workers: int = 8,
        grace: float = 20.0,
        queue: WorkQueue[Key] | None = None,
        observe: Callable[[Reconciled], None] = lambda _: None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._reconcile, self._workers, self._grace, self._observe = reconcile, workers, grace, observe
        self._clock = clock
        self.queue: WorkQueue[Key] = WorkQueue() if queue is None else queue
        self._informers: list[Informer] = []
        self._electors: tuple[Elector, ...] = ()
        self.crew = Crew()

    def watch(self, informer: Informer, keys: Keys = itself, *, gather: float = 0.0) -> None:
        """Reconcile whom a change of these objects concerns, before and after it. To be said before ``run``.

        Args:
            keys: whom that is. Default: the object that changed.
            gather: seconds to wait for further changes first, as pods change several times in a row while they
                start. Default 0.
        """

        def changed(old: Object | None, new: Object | None) -> None:
            for key in {key for item in (old, new) if item for key in keys(item)}:
                self.queue.add_after(key, gather) if gather else self.queue.add(key)

        informer.on_change(changed)
        if informer not in self._informers:
            self._informers.append(informer)

    @property
    def synced(self) -> bool:
        """Whether all caches are filled."""
        return all(informer.synced for informer in self._informers)

    def stop(self) -> None:
        """Let ``run`` end in order. Not from a signal handler, but from a thread: it takes a lock."""
        self.crew.stopping.set()

    def run(self, *electors: Elector) -> None:
        """Reconcile, once in this controller's life, until told to stop.

        Caches are filled before this process tries to lead, so it takes over warm.

        Args:
            electors: reconcile only while all of them lead, those of several leases each ``after`` the one before.
                Default none: always.

        Raises:
            LeadershipLost: end the process, at once: another one acts by now.
            BaseException: whatever ended one of the threads.
        """
        self._electors = electors
        try:
            self._run()
        finally:
            self._end()
        if self.crew.failure:
            raise self.crew.failure

    def _run(self) -> None:
        for informer in self._informers:
            informer.start(self.crew)
        if not self._wait_until(lambda: self.synced):
            return
        for elector in self._electors:
            self.crew.start(f"elector {elector.key}", elector.run)
        if not self._wait_until(lambda: self._leads):
            return
        for number in range(self._workers):
            self.crew.start(f"worker {number}", self._work)
        if self._wait_until(lambda: not self._may_act):
            raise LeadershipLost("not renewed in time")

    def fence(self) -> None:
        """What requests of a reconcile are to pass, see ``Asking.fence``.

        Raises:
            LeadershipLost: this process may not act any more.
        """
        if not self._leads:
            raise LeadershipLost("not renewed in time")

    @property
    def _leads(self) -> bool:
        return all(elector.leads for elector in self._electors)

    def _wait_until(self, reached: Callable[[], bool]) -> bool:
        """Wait until something is so; False if the end comes first."""
        while not self.crew.stopping.is_set():
            if reached():
                return True
            self.crew.stopping.wait(GLANCE)
        return False

    @property
    def _may_act(self) -> bool:
        return self.crew.failure is None and self._leads

    def _end(self) -> None:
        self.queue.shut_down()
        idle = self._drain()
        for elector in reversed(self._electors):
            elector.stop(release=idle)
        for informer in self._informers:
            informer.stop()
        self.crew.stopping.set()
        if idle:  # who still acts, and may not any more, must not be waited for
            self.crew.join(LEAVING)

    def _drain(self) -> bool:
        """Let workers finish what they have, as long as they may; whether they did."""
        deadline = self._clock() + self._grace
        while self.queue.busy and self._may_act and self._clock() < deadline:
            self.queue.drain(GLANCE)
        if busy := self.queue.busy:
            log.warning("ending while %d keys are being reconciled", busy)
        return not busy

    def _work(self) -> None:
        while (key := self.queue.get()) is not None:
            try:
                self._handle(key)
            finally:
                self.queue.done(key)

    def _handle(self, key: Key) -> None:
        if not self._may_act:
            # The process was stopped for a while, perhaps: the elector has yet to find out.
            raise LeadershipLost(f"not renewed in time for {key}")
        begun, error = self._clock(), None
        try:
            after = self._reconcile(key)
        except LeadershipLost:
            raise
        except Exception as problem:
            error = problem
            self._failed(key, problem)
        else:
            self.queue.forget(key)
            if after is not None:
                self.queue.add_after(key, after)
        self._observe(Reconciled(key, self._clock() - begun, error))

    def _failed(self, key: Key, error: Exception) -> None:
        seconds = self.queue.retry(key)
        # Of what the server says, the traceback tells nothing; of a bug, it tells everything.
        bug = None if isinstance(error, KubeError) else error
        failures = self.queue.failures(key)
        log.error("%s: %s; failed %d times in a row, again in %.3g s", key, error, failures, seconds, exc_info=bug)
