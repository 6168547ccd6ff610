"""The loop: who is woken by what, what becomes of errors, and that nothing ends half."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from mmaction_operator.kube import (
    Backoff,
    Client,
    Conflict,
    Controller,
    Crew,
    Elector,
    Informer,
    Key,
    LeadershipLost,
    LeaseTimes,
    Object,
    Reconciled,
    Resource,
    WatchTimes,
    WorkQueue,
    controller_in,
)
from tests.unit.kube.clock import FakeClock
from tests.unit.kube.lease import LEASE, Leases
from tests.unit.kube.scripted import (
    OWNERS,
    THINGS,
    Asked,
    Script,
    ScriptedServer,
    Stream,
    line,
    listing,
    refusal,
    thing,
)

Eventually = Callable[[Callable[[], object]], None]
A, B = Key("one", "a"), Key("one", "b")
QUICK = WatchTimes(silence=30, backoff=Backoff(0.01, 0.05))


class Running:
    """A controller that runs in a thread."""

    def __init__(self, controller: Controller, *electors: Elector) -> None:
        self.controller = controller
        self.ended: list[BaseException | None] = []
        self.thread = threading.Thread(target=self.run, args=electors, daemon=True)
        self.thread.start()

    def run(self, *electors: Elector) -> None:
        try:
            self.controller.run(*electors)
            self.ended.append(None)
        except BaseException as error:
            self.ended.append(error)

    def join(self) -> BaseException | None:
        """Wait until it has ended; what it ended with."""
        self.thread.join(10)
        assert self.ended, "it does not end"
        return self.ended[0]


@pytest.fixture
def run() -> Iterator[Callable[..., Running]]:
    """Runs controllers until the test ends."""
    running: list[Running] = []

    def run(controller: Controller, *electors: Elector) -> Running:
        running.append(Running(controller, *electors))
        return running[-1]

    yield run
    for each in running:
        each.controller.stop()
        each.join()


@pytest.fixture
def informer(client: Client) -> Informer:
    return Informer(client, THINGS, times=QUICK)


def owned(name: str, *, kind: str = "Owner", group: str = "example.dev", controller: bool = True) -> dict[str, Any]:
    owner = {"apiVersion": f"{group}/v7", "kind": kind, "name": name, "uid": f"uid-{name}", "controller": controller}
    return {"ownerReferences": [owner]}


def test_every_object_that_is_there_is_reconciled_and_every_one_that_changes_again(
    server: ScriptedServer, informer: Informer, run: Callable[..., Running], eventually: Eventually
) -> None:
    more = threading.Event()

    def second(_: Asked) -> Script:
        more.wait(5)
        return Stream((line("MODIFIED", thing("a", 11)), line("DELETED", thing("b", 12))))

    server.answers(listing(10, thing("a", 1), thing("b", 2)), second)
    seen: list[tuple[Key, bool]] = []
    controller = Controller(lambda key: seen.append((key, informer.store.get(key) is not None)))
    controller.watch(informer)
    run(controller)
    eventually(lambda: sorted(seen) == [(A, True), (B, True)])
    more.set()
    eventually(lambda: sorted(seen[2:]) == [(A, True), (B, False)])


def test_nothing_is_reconciled_before_every_cache_is_filled(
    server: ScriptedServer, client: Client, informer: Informer, run: Callable[..., Running], eventually: Eventually
) -> None:
    filled = threading.Event()

    def answer(asked: Asked) -> Script:
        server.answers(answer)
        if "watch" in asked.query:
            return Stream()
        if "owners" in asked.path:
            filled.wait(5)
        return listing(10, thing("a", 1))

    server.answers(answer)
    owners, seen = Informer(client, OWNERS, times=QUICK), []
    controller = Controller(lambda key: seen.append(len(owners.store)))
    controller.watch(informer)
    controller.watch(owners)
    run(controller)
    eventually(lambda: informer.synced)
    time.sleep(0.2)
    assert seen == []
    assert not controller.synced
    filled.set()
    eventually(lambda: seen)
    assert set(seen) == {1}


@pytest.mark.parametrize(
    ("metadata", "woken"),
    [
        pytest.param(owned("x"), [Key("one", "x")], id="its controller, of any version"),
        pytest.param(owned("x", controller=False), [], id="not an owner that does not control it"),
        pytest.param(owned("x", kind="Other"), [], id="not a controller of another kind"),
        pytest.param(owned("x", group="other.dev"), [], id="not a controller of another group"),
        pytest.param({}, [], id="nobody where it has no owner"),
    ],
)
def test_a_change_of_a_child_wakes(metadata: dict[str, Any], woken: list[Key]) -> None:
    assert controller_in(OWNERS)(thing("child", 1, **metadata)) == woken


def test_a_child_that_changes_hands_wakes_both_owners(
    server: ScriptedServer, informer: Informer, run: Callable[..., Running], eventually: Eventually
) -> None:
    more = threading.Event()

    def second(_: Asked) -> Script:
        more.wait(5)
        return Stream((line("MODIFIED", thing("child", 11, **owned("new"))),))

    server.answers(listing(10, thing("child", 1, **owned("old"))), second)
    seen: list[str] = []
    controller = Controller(lambda key: seen.append(key.name))
    controller.watch(informer, controller_in(OWNERS))
    run(controller)
    eventually(lambda: seen == ["old"])
    more.set()
    eventually(lambda: sorted(seen) == ["new", "old", "old"])


def test_a_reconcile_says_when_it_wants_to_be_called_again(
    server: ScriptedServer, informer: Informer, run: Callable[..., Running], eventually: Eventually
) -> None:
    server.answers(listing(10, thing("a", 1)))
    at: list[float] = []

    def reconcile(_: Key) -> float | None:
        at.append(time.monotonic())
        return 0.1 if len(at) < 3 else None

    controller = Controller(reconcile)
    controller.watch(informer)
    run(controller)
    eventually(lambda: len(at) == 3)
    assert all(later - earlier >= 0.1 for earlier, later in pairwise(at))
    time.sleep(0.3)
    assert len(at) == 3


def test_a_reconcile_that_fails_is_called_again_later_each_time_while_others_go_on(
    server: ScriptedServer, informer: Informer, run: Callable[..., Running], eventually: Eventually
) -> None:
    server.answers(listing(10, thing("a", 1), thing("b", 2)))
    seen: list[Key] = []
    done: list[Reconciled] = []

    def reconcile(key: Key) -> None:
        seen.append(key)
        if key == A and seen.count(A) < 4:
            raise Conflict("apply a", 409, {"message": "somebody else was first"})

    controller = Controller(reconcile, workers=1, observe=done.append)
    controller.watch(informer)
    run(controller)
    eventually(lambda: seen.count(A) == 4)
    assert seen.count(B) == 1
    eventually(lambda: len(done) == 5)
    assert [(each.key, type(each.error)) for each in done if each.key == A] == [(A, Conflict)] * 3 + [(A, type(None))]
    assert controller.queue.failures(A) == 0


def test_an_error_is_logged_once_with_the_key_and_a_bug_with_where_it_is(
    server: ScriptedServer,
    informer: Informer,
    run: Callable[..., Running],
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.answers(listing(10, thing("a", 1), thing("b", 2)))
    done: list[Key] = []

    def reconcile(key: Key) -> None:
        if key not in done:
            done.append(key)
            raise Conflict("apply", 409, {"message": "not first"}) if key == A else ZeroDivisionError("a bug")

    controller = Controller(reconcile)
    controller.watch(informer)
    run(controller)
    eventually(lambda: len(done) == 2)
    eventually(lambda: len(caplog.records) == 2)
    conflict, bug = sorted(caplog.records, key=lambda record: record.getMessage())
    assert conflict.getMessage() == (
        "one/a: apply: 409 no reason: not first; failed 1 times in a row, again in 0.005 s"
    )
    assert not conflict.exc_info
    assert bug.getMessage().startswith("one/b: a bug; failed 1 times in a row")
    assert bug.exc_info


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_a_thread_that_dies_ends_the_run_with_what_it_died_of(
    server: ScriptedServer, informer: Informer, run: Callable[..., Running], error: BaseException
) -> None:
    server.answers(listing(10, thing("a", 1)))

    def reconcile(_: Key) -> None:
        raise error

    controller = Controller(reconcile)
    controller.watch(informer)
    assert run(controller).join() is error


def test_an_informer_that_dies_ends_the_run(
    server: ScriptedServer, informer: Informer, run: Callable[..., Running]
) -> None:
    server.answers(listing(10, thing("a", 1)))

    def dies(*_: object) -> None:
        raise SystemExit("a library wants to leave")

    informer.on_change(dies)
    controller = Controller(lambda _: None)
    controller.watch(informer)
    assert isinstance(run(controller).join(), SystemExit)


def test_a_thread_that_just_ends_is_a_failure_too(eventually: Eventually) -> None:
    crew = Crew()
    crew.start("short", lambda: None)
    eventually(crew.stopping.is_set)
    assert "thread short ended, and nobody told it to" in str(crew.failure)


def test_the_first_failure_is_the_one_that_is_told() -> None:
    crew = Crew()

    def first() -> None:
        raise ValueError("first")

    def second() -> None:
        crew.stopping.wait(5)
        raise ValueError("second")

    crew.start("second", second)
    crew.start("first", first)
    assert crew.join(5)
    assert str(crew.failure) == "first"


def test_stopping_lets_workers_finish_what_they_have_and_begin_nothing_else(
    server: ScriptedServer, informer: Informer, run: Callable[..., Running], eventually: Eventually
) -> None:
    server.answers(listing(10, thing("a", 1), thing("b", 2), thing("c", 3)))
    begun, finished, go = [], [], threading.Event()

    def reconcile(key: Key) -> None:
        begun.append(key)
        go.wait(5)
        finished.append(key)

    controller = Controller(reconcile, workers=2)
    controller.watch(informer)
    running = run(controller)
    eventually(lambda: len(begun) == 2)
    controller.stop()
    time.sleep(0.2)
    assert not running.ended
    go.set()
    assert running.join() is None
    assert set(begun) == set(finished)
    assert len(begun) == 2


def test_stopping_does_not_wait_for_ever(
    server: ScriptedServer,
    informer: Informer,
    run: Callable[..., Running],
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.answers(listing(10, thing("a", 1)))
    begun, go = threading.Event(), threading.Event()

    def reconcile(_: Key) -> None:
        begun.set()
        go.wait(10)

    controller = Controller(reconcile, grace=0.2)
    controller.watch(informer)
    running = run(controller)
    begun.wait(5)
    at = time.monotonic()
    controller.stop()
    assert running.join() is None
    assert 0.2 <= time.monotonic() - at < 2
    assert "ending while 1 keys are being reconciled" in caplog.text
    go.set()


def test_stopping_before_caches_are_filled_begins_nothing(
    server: ScriptedServer, client: Client, informer: Informer, run: Callable[..., Running], eventually: Eventually
) -> None:
    def answer(asked: Asked) -> Script:
        server.answers(answer)
        if "watch" in asked.query:
            return Stream()
        return refusal(403) if "owners" in asked.path else listing(10, thing("a", 1))

    server.answers(answer)
    seen: list[Key] = []
    controller = Controller(seen.append)
    controller.watch(informer)
    controller.watch(Informer(client, OWNERS, times=QUICK))
    running = run(controller)
    eventually(lambda: controller.queue.depth)
    controller.stop()
    assert running.join() is None
    assert seen == []


def test_stopping_before_it_leads_begins_nothing_and_does_not_wait(
    server: ScriptedServer, informer: Informer, run: Callable[..., Running], eventually: Eventually, leases: Leases
) -> None:
    elector_of(leases, "other").step()
    server.answers(listing(10, thing("a", 1)))
    seen: list[Key] = []
    controller = Controller(seen.append)
    controller.watch(informer)
    running = run(controller, elector_of(leases))
    eventually(lambda: controller.synced)
    at = time.monotonic()
    controller.stop()
    assert running.join() is None
    assert time.monotonic() - at < 1
    assert seen == []
    assert leases.spec["holderIdentity"] == "other"


def test_a_bug_that_ends_the_run_lets_another_lead_at_once(
    server: ScriptedServer, informer: Informer, run: Callable[..., Running], leases: Leases
) -> None:
    server.answers(listing(10, thing("a", 1)))

    def reconcile(_: Key) -> None:
        raise SystemExit("a library wants to leave")

    controller = Controller(reconcile)
    controller.watch(informer)
    assert isinstance(run(controller, elector_of(leases)).join(), SystemExit)
    assert "holderIdentity" not in leases.spec


def test_two_reasons_to_reconcile_a_key_are_never_two_workers(
    server: ScriptedServer, informer: Informer, run: Callable[..., Running], eventually: Eventually
) -> None:
    events = tuple(line("MODIFIED", thing("a", version)) for version in range(11, 300))
    server.answers(listing(10, thing("a", 1)), Stream(events))
    inside, clashes, versions = threading.Lock(), [], []

    def reconcile(key: Key) -> None:
        if not inside.acquire(blocking=False):
            clashes.append(key)
            return
        item = informer.store.get(key)
        assert item
        versions.append(int(item["metadata"]["resourceVersion"]))
        time.sleep(0.002)
        inside.release()

    controller = Controller(reconcile)
    controller.watch(informer)
    run(controller)
    eventually(lambda: versions and versions[-1] == 299)
    assert not clashes


@pytest.fixture
def leases(clock: FakeClock) -> Leases:
    return Leases(clock)


def elector_of(leases: Leases, identity: str = "this", after: Elector | None = None) -> Elector:
    return Elector(leases, LEASE, identity, after=after, clock=leases.clock, times=LeaseTimes(15, 10, 0.01))


def test_caches_are_filled_before_it_leads_and_nothing_is_reconciled_until_it_does(
    server: ScriptedServer,
    informer: Informer,
    run: Callable[..., Running],
    eventually: Eventually,
    leases: Leases,
    clock: FakeClock,
) -> None:
    elector_of(leases, "other").step()
    server.answers(listing(10, thing("a", 1)))
    seen: list[Key] = []
    controller = Controller(seen.append)
    controller.watch(informer)
    run(controller, elector_of(leases))
    eventually(lambda: controller.synced)
    time.sleep(0.2)
    assert seen == []
    clock.pass_(16)
    eventually(lambda: seen == [A])


def test_the_lead_is_not_sought_with_empty_caches(
    server: ScriptedServer, informer: Informer, run: Callable[..., Running], eventually: Eventually, leases: Leases
) -> None:
    controller = Controller(lambda _: None)
    controller.watch(informer)
    run(controller, elector_of(leases))
    eventually(lambda: len(server.asked) > 3)
    assert leases.lease is None


def test_losing_the_lead_ends_the_run_and_waits_for_nobody(
    server: ScriptedServer,
    informer: Informer,
    run: Callable[..., Running],
    eventually: Eventually,
    leases: Leases,
    clock: FakeClock,
) -> None:
    server.answers(listing(10, thing("a", 1), thing("b", 2)))
    begun, go = [], threading.Event()

    def reconcile(key: Key) -> None:
        begun.append(key)
        go.wait(60)

    controller = Controller(reconcile, workers=1, grace=60)
    controller.watch(informer)
    running = run(controller, elector_of(leases))
    eventually(lambda: begun)
    leases.down = True
    clock.pass_(10)
    at = time.monotonic()
    assert isinstance(running.join(), LeadershipLost)
    assert time.monotonic() - at < 2
    go.set()
    assert len(begun) == 1
    assert leases.spec["holderIdentity"] == "this"  # nothing was released


def test_the_lead_is_lost_on_time_though_the_server_keeps_the_elector_waiting(
    server: ScriptedServer,
    informer: Informer,
    run: Callable[..., Running],
    eventually: Eventually,
    leases: Leases,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mmaction_operator.kube.controller.LEAVING", 0.1)
    server.answers(listing(10))
    controller = Controller(lambda _: None)
    controller.watch(informer)
    elector, answer = elector_of(leases), threading.Event()
    running = run(controller, elector)
    eventually(lambda: elector.leads)
    real = leases.get

    def slow(resource: Resource, key: Key) -> Object:
        answer.wait(60)
        return real(resource, key)

    leases.get = slow  # type: ignore[method-assign]
    time.sleep(0.3)
    clock.pass_(10)
    at = time.monotonic()
    assert isinstance(running.join(), LeadershipLost)
    assert time.monotonic() - at < 2
    answer.set()


def test_a_process_that_slept_through_its_deadline_begins_nothing(
    server: ScriptedServer, informer: Informer, run: Callable[..., Running], eventually: Eventually, leases: Leases
) -> None:
    server.answers(listing(10))
    seen: list[Key] = []
    controller = Controller(seen.append, workers=1)
    controller.watch(informer)
    elector = Elector(leases, LEASE, "this", clock=leases.clock)  # it looks again in two seconds: too late
    running = run(controller, elector)
    eventually(lambda: elector.leads)
    time.sleep(0.2)
    leases.clock.pass_(3600)
    controller.queue.add(A)
    assert isinstance(running.join(), LeadershipLost)
    assert seen == []


def test_a_process_that_slept_in_the_middle_of_a_reconcile_asks_for_nothing_more(
    server: ScriptedServer,
    client: Client,
    informer: Informer,
    run: Callable[..., Running],
    leases: Leases,
) -> None:
    server.answers(listing(10, thing("a", 1)))

    def reconcile(_: Key) -> None:
        leases.clock.pass_(3600)
        fenced.create(THINGS, thing("late", 1))

    controller = Controller(reconcile, workers=1)
    fenced = replace(client, fence=controller.fence)
    controller.watch(informer)
    elector = Elector(leases, LEASE, "this", clock=leases.clock)  # it looks again in two seconds: too late
    assert isinstance(run(controller, elector).join(), LeadershipLost)
    assert {asked.method for asked in server.asked} == {"GET"}


def test_of_two_leases_the_second_is_taken_after_the_first_and_without_both_nothing_is_done(
    server: ScriptedServer,
    informer: Informer,
    run: Callable[..., Running],
    eventually: Eventually,
    leases: Leases,
    clock: FakeClock,
) -> None:
    server.answers(listing(10, thing("a", 1)))
    others = Leases(clock)
    elector_of(others, "another installation").step()
    seen: list[Key] = []
    controller = Controller(seen.append)
    controller.watch(informer)
    first = elector_of(leases)
    running = run(controller, first, elector_of(others, after=first))
    eventually(lambda: first.leads)
    time.sleep(0.2)
    assert seen == []
    others.edit(holderIdentity=None)
    eventually(lambda: seen == [A])
    others.edit(holderIdentity="another installation")
    assert isinstance(running.join(), LeadershipLost)


def test_the_lead_is_passed_on_when_all_workers_have_finished(
    server: ScriptedServer, informer: Informer, run: Callable[..., Running], eventually: Eventually, leases: Leases
) -> None:
    server.answers(listing(10, thing("a", 1)))
    begun, go = threading.Event(), threading.Event()

    def reconcile(_: Key) -> None:
        begun.set()
        go.wait(10)

    controller = Controller(reconcile)
    controller.watch(informer)
    running = run(controller, elector_of(leases))
    begun.wait(5)
    controller.stop()
    time.sleep(0.2)
    assert leases.spec["holderIdentity"] == "this"
    go.set()
    assert running.join() is None
    assert "holderIdentity" not in leases.spec


def test_the_lead_is_not_passed_on_while_a_worker_still_acts(
    server: ScriptedServer,
    informer: Informer,
    run: Callable[..., Running],
    leases: Leases,
) -> None:
    server.answers(listing(10, thing("a", 1)))
    begun, go = threading.Event(), threading.Event()

    def reconcile(_: Key) -> None:
        begun.set()
        go.wait(10)

    controller = Controller(reconcile, grace=0.1)
    controller.watch(informer)
    running = run(controller, elector_of(leases))
    begun.wait(5)
    controller.stop()
    assert running.join() is None
    time.sleep(0.1)  # the elector has ended
    assert leases.spec["holderIdentity"] == "this"
    go.set()


def test_a_queue_of_ones_own_is_used(informer: Informer) -> None:
    queue: WorkQueue[Key] = WorkQueue(backoff=Backoff(1, 2))
    assert Controller(lambda _: None, queue=queue).queue is queue
