"""Every way in which a watch goes wrong, on real sockets: afterwards, the cache is what the server has."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from mmaction_operator.kube import Backoff, Client, Crew, Exchange, Informer, Key, Object, WatchTimes
from mmaction_operator.kube import watch as watching
from tests.unit.kube.clock import FakeClock
from tests.unit.kube.scripted import (
    THINGS,
    Answer,
    Asked,
    Nothing,
    Script,
    ScriptedServer,
    Stream,
    bookmark,
    line,
    listing,
    refusal,
    thing,
)

Eventually = Callable[[Callable[[], object]], None]
Start = Callable[..., Informer]

QUICK = WatchTimes(silence=30, backoff=Backoff(0.01, 0.05))
PATH = "/apis/example.dev/v1/things"


@pytest.fixture
def changes() -> list[tuple[str | None, str | None]]:
    """The names and versions that handlers were given, before and after."""
    return []


@pytest.fixture
def start(client: Client, changes: list[Any]) -> Iterator[Start]:
    """Starts an informer that ends with the test."""
    crew, started = Crew(), []

    def start(**options: Any) -> Informer:
        informer = Informer(client, THINGS, **{"times": QUICK, **options})
        informer.on_change(lambda old, new: changes.append((versioned(old), versioned(new))))
        informer.start(crew)
        started.append(informer)
        return informer

    yield start
    crew.stopping.set()
    for informer in started:
        informer.stop()
    assert crew.join(5), "informers do not end when they are told to"


def versioned(item: Object | None) -> str | None:
    return f"{item['metadata']['name']}@{item['metadata']['resourceVersion']}" if item else None


def held(informer: Informer) -> set[str | None]:
    return {versioned(item) for item in informer.store.all()}


def added(name: str, version: int, **more: Any) -> bytes:
    return line("ADDED", thing(name, version, **more))


def modified(name: str, version: int, **more: Any) -> bytes:
    return line("MODIFIED", thing(name, version, **more))


def deleted(name: str, version: int, **more: Any) -> bytes:
    return line("DELETED", thing(name, version, **more))


def test_the_cache_follows_the_server(
    server: ScriptedServer, start: Start, eventually: Eventually, changes: list[Any]
) -> None:
    server.answers(
        listing(10, thing("a", 3), thing("b", 4)), Stream((modified("a", 11), added("c", 12), deleted("b", 13)))
    )
    informer = start()
    eventually(lambda: held(informer) == {"a@11", "c@12"})
    assert changes == [(None, "a@3"), (None, "b@4"), ("a@3", "a@11"), (None, "c@12"), ("b@4", None)]


def test_a_watch_is_for_some_minutes_with_bookmarks_from_the_version_of_the_list(
    server: ScriptedServer, start: Start, eventually: Eventually
) -> None:
    server.answers(listing(10), *[Stream((bookmark(10),), "in order")] * 20)
    start(labels="app=x", fields="metadata.name=y", times=WatchTimes())
    eventually(lambda: len(server.of(watch=True)) == 21)
    (asked,) = server.of(watch=False)
    selected = {"labelSelector": "app=x", "fieldSelector": "metadata.name=y"}
    assert asked.query == {**selected, "limit": "500"}
    first = server.of(watch=True)[0]
    seconds = {int(watch.query.pop("timeoutSeconds")) for watch in server.of(watch=True)}
    assert first.query == {**selected, "resourceVersion": "10", "watch": "true", "allowWatchBookmarks": "true"}
    assert len(seconds) > 5
    assert all(300 <= each <= 600 for each in seconds)


@pytest.mark.parametrize(
    ("stream", "resumed_from"),
    [
        pytest.param(Stream((added("a", 11),), "in order"), "11", id="in order"),
        pytest.param(Stream((added("a", 11),), "cut"), "11", id="cut"),
        pytest.param(Stream((added("a", 11), added("b", 12)[:40]), "cut"), "11", id="cut within a line"),
        pytest.param(Stream((added("a", 11), added("b", 12)[:40]), "in order"), "11", id="ended within a line"),
        pytest.param(Stream((added("a", 11), bookmark(99)), "cut"), "99", id="cut after a bookmark"),
        pytest.param(Stream((added("a", 11), b"\x00\x01 no json\n"), "silent"), "11", id="no JSON"),
        pytest.param(Stream((added("a", 11),), "silent"), "11", id="silent, as a half-open connection is"),
    ],
)
def test_a_watch_that_ends_is_resumed_where_it_ended(
    server: ScriptedServer, start: Start, eventually: Eventually, stream: Stream, resumed_from: str
) -> None:
    server.answers(listing(10), stream, Stream((added("z", 100),)))
    informer = start(times=WatchTimes(silence=0.2, backoff=QUICK.backoff))
    eventually(lambda: "z@100" in held(informer))
    assert held(informer) == {"a@11", "z@100"}
    assert server.of(watch=True)[1].query["resourceVersion"] == resumed_from
    assert informer.lists == 1


@pytest.mark.parametrize(
    "gone",
    [
        pytest.param(refusal(410, "Expired"), id="as a status"),
        pytest.param(Stream((line("ERROR", refusal(410, "Expired").body),)), id="within the stream"),
        pytest.param(Stream((line("ERROR", refusal(500, "InternalError").body),)), id="another error in the stream"),
        pytest.param(Stream((line("ERROR", {"kind": "Status"}),)), id="an error without a code"),
        pytest.param(refusal(404), id="the resource was removed"),
        pytest.param(Stream((b'{"type": "ADDED", "object": {"kind": "Thing"}}\n',)), id="an object without a name"),
    ],
)
def test_where_changes_were_missed_all_is_listed_anew_and_what_is_gone_is_told(
    server: ScriptedServer, start: Start, eventually: Eventually, changes: list[Any], gone: Script
) -> None:
    before = listing(10, thing("stays", 1), thing("changes", 2), thing("goes", 3))
    after = listing(20, thing("stays", 1), thing("changes", 15), thing("comes", 16))
    server.answers(before, gone, after)
    informer = start()
    eventually(lambda: held(informer) == {"stays@1", "changes@15", "comes@16"})
    eventually(lambda: len(server.of(watch=True)) == 2)
    assert sorted(changes[3:], key=str) == [("changes@2", "changes@15"), ("goes@3", None), (None, "comes@16")]
    assert server.of(watch=True)[1].query["resourceVersion"] == "20"
    assert (informer.lists, informer.watches) == (2, 2)


def test_the_cache_is_as_it_will_be_when_handlers_are_told(
    server: ScriptedServer, client: Client, eventually: Eventually
) -> None:
    informer, seen, crew = Informer(client, THINGS, times=QUICK), [], Crew()
    informer.on_change(lambda old, new: seen.append((versioned(old), held(informer))))
    server.answers(listing(10, thing("goes", 1)), refusal(410), listing(20))
    informer.start(crew)
    eventually(lambda: len(seen) == 2)
    assert seen[1] == ("goes@1", set())
    crew.stopping.set()
    informer.stop()


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(refusal(500), id="500"),
        pytest.param(refusal(503), id="503"),
        pytest.param(refusal(401), id="401"),
        pytest.param(refusal(403), id="403"),
        pytest.param(refusal(404), id="404"),
        pytest.param(refusal(429), id="429"),
        pytest.param(Nothing(), id="no answer"),
        pytest.param(Answer(body=b"<html>"), id="no JSON"),
        pytest.param(Answer(body={}), id="no list"),
        pytest.param(Answer(body={"items": [1], "metadata": {}}), id="a list of something else"),
    ],
)
def test_no_answer_to_a_list_ends_an_informer(
    server: ScriptedServer, start: Start, eventually: Eventually, trouble: Script
) -> None:
    healthy = threading.Event()

    def answer(asked: Asked) -> Script:
        server.answers(answer)
        return listing(10, thing("a", 1)) if healthy.is_set() else trouble

    server.answers(answer)
    informer = start()
    eventually(lambda: len(server.asked) > 12)
    assert not informer.synced
    healthy.set()
    eventually(lambda: informer.synced)
    assert held(informer) == {"a@1"}


@pytest.mark.parametrize("trouble", [refusal(500), refusal(403), refusal(429), Nothing()])
def test_no_answer_to_a_watch_loses_the_place(
    server: ScriptedServer, start: Start, eventually: Eventually, trouble: Script
) -> None:
    server.answers(listing(10), Stream((bookmark(15),), "cut"), *[trouble] * 6, Stream((added("a", 16),)))
    informer = start()
    eventually(lambda: held(informer) == {"a@16"})
    assert [asked.query["resourceVersion"] for asked in server.of(watch=True)] == ["10"] + ["15"] * 7
    assert informer.lists == 1


def test_a_server_that_is_away_for_a_while_is_found_again(
    server: ScriptedServer, start: Start, eventually: Eventually
) -> None:
    server.answers(listing(10, thing("a", 1)), Stream(end="cut"))
    server.stop()
    informer = start()
    time.sleep(0.1)
    assert not informer.synced
    server.start()
    eventually(lambda: held(informer) == {"a@1"})


def test_a_watch_that_ends_as_soon_as_it_begins_is_not_asked_for_in_a_tight_loop(
    server: ScriptedServer, start: Start, eventually: Eventually
) -> None:
    server.answers(listing(10), *[Stream(end="in order")] * 1000)
    start(times=WatchTimes(backoff=Backoff(0.05, 10)))
    time.sleep(0.5)
    assert 2 <= len(server.of(watch=True)) <= 5


def test_a_server_that_never_has_what_it_lists_is_not_asked_in_a_tight_loop(
    server: ScriptedServer, start: Start
) -> None:
    server.answers(*[listing(10), refusal(410)] * 500)
    start(times=WatchTimes(backoff=Backoff(0.05, 10)))
    time.sleep(0.5)
    assert 2 <= len(server.of(watch=True)) <= 5


def test_backoff_grows_with_failures_and_begins_anew_after_an_event(
    server: ScriptedServer, start: Start, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers(
        listing(10), *[refusal(500)] * 5, Stream((added("a", 11),), "cut"), refusal(500), Stream((added("b", 12),))
    )
    informer = start(times=WatchTimes(backoff=Backoff(0.01, 0.1)))
    eventually(lambda: held(informer) == {"a@11", "b@12"})
    waits = [record.args[2] for record in caplog.records if isinstance(record.args, tuple)]
    assert waits == [0.01, 0.02, 0.04, 0.08, 0.1, 0.01, 0.02]


def test_late_and_repeated_events_change_nothing(
    server: ScriptedServer, start: Start, eventually: Eventually, changes: list[Any]
) -> None:
    server.answers(
        listing(10, thing("a", 9)),
        Stream(
            (
                modified("a", 12),
                modified("a", 11),
                modified("a", 12),
                deleted("a", 11),
                added("b", 14, uid="second"),
                deleted("b", 13, uid="first"),
                deleted("never seen", 15),
                added("end", 16),
            )
        ),
    )
    informer = start()
    eventually(lambda: "end@16" in held(informer))
    assert held(informer) == {"a@12", "b@14", "end@16"}
    assert changes == [(None, "a@9"), ("a@9", "a@12"), (None, "b@14"), (None, "end@16")]


def test_lines_and_chunks_need_not_agree(server: ScriptedServer, start: Start, eventually: Eventually) -> None:
    text = "数据集 Größe 🎬 \u2028 end"
    wire = added("a", 11) + b"\n" + added("b", 12, spec={"text": text}) + added("c", 13)
    server.answers(listing(10), Stream(tuple(wire[at : at + 7] for at in range(0, len(wire), 7))), Stream())
    informer = start()
    eventually(lambda: held(informer) == {"a@11", "b@12", "c@13"})
    item = informer.store.get(Key("one", "b"))
    assert item is not None
    assert item["spec"]["text"] == text
    assert len(server.of(watch=True)) == 1


def test_a_line_may_be_as_long_as_any_object(server: ScriptedServer, start: Start, eventually: Eventually) -> None:
    server.answers(listing(10), Stream((added("a", 11, spec={"text": "x" * 5_000_000}), added("b", 12))))
    informer = start()
    eventually(lambda: held(informer) == {"a@11", "b@12"})
    assert informer.watches == 1


def test_a_line_without_end_does_not_fill_the_memory(
    server: ScriptedServer, start: Start, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LONGEST", 1 << 18)
    server.answers(listing(10), Stream((b"x" * (1 << 16),) * 8), Stream((added("a", 11),)))
    informer = start()
    eventually(lambda: held(informer) == {"a@11"})
    assert len(server.of(watch=True)) == 2


def test_namespaces_are_watched_one_by_one_and_fill_one_cache(
    server: ScriptedServer, start: Start, eventually: Eventually
) -> None:
    lists = {"one": 0, "two": 0}

    def answer(asked: Asked) -> Script:
        server.answers(answer)
        namespace = asked.path.split("/")[-2]
        if "watch" in asked.query:
            return refusal(410) if namespace == "two" and lists["two"] == 1 else Stream()
        lists[namespace] += 1
        return listing(10, *[thing("a", 1, namespace=namespace)] * (lists[namespace] == 1))

    server.answers(answer)
    informer = start(namespaces=("one", "two"))
    eventually(lambda: lists["two"] == 2)
    eventually(lambda: len(informer.store) == 1)
    assert informer.store.all()[0]["metadata"]["namespace"] == "one"
    assert {asked.path for asked in server.asked} == {
        f"/apis/example.dev/v1/namespaces/{namespace}/things" for namespace in ("one", "two")
    }


def test_an_informer_is_synced_once_every_namespace_is(
    server: ScriptedServer, start: Start, eventually: Eventually
) -> None:
    blocked = threading.Event()

    def answer(asked: Asked) -> Script:
        server.answers(answer)
        if "/two/" in asked.path:
            blocked.wait(5)
        return Stream() if "watch" in asked.query else listing(10)

    server.answers(answer)
    informer = start(namespaces=("one", "two"))
    eventually(lambda: informer.lists == 1)
    assert not informer.synced
    blocked.set()
    eventually(lambda: informer.synced)


def test_what_no_controller_reads_is_not_kept(server: ScriptedServer, start: Start, eventually: Eventually) -> None:
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "mine": "yes"}
    bulky: dict[str, Any] = {"managedFields": [{"manager": "x"}], "annotations": annotations}
    server.answers(listing(10, thing("a", 1, **bulky)), Stream((added("b", 11, **bulky),)))
    informer = start()
    eventually(lambda: len(informer.store) == 2)
    for item in informer.store.all():
        assert "managedFields" not in item["metadata"]
        assert item["metadata"]["annotations"] == {"mine": "yes"}


def test_a_handler_that_fails_keeps_nobody_from_being_told(
    server: ScriptedServer, client: Client, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    informer, told, crew = Informer(client, THINGS, times=QUICK), [], Crew()
    informer.on_change(lambda old, new: [][0])
    informer.on_change(lambda old, new: told.append(versioned(new)))
    server.answers(listing(10, thing("a", 1), thing("b", 2)), Stream((added("c", 11),)))
    informer.start(crew)
    eventually(lambda: told == ["a@1", "b@2", "c@11"])
    assert "a handler of things.example.dev failed" in caplog.text
    crew.stopping.set()
    informer.stop()


def test_it_is_known_for_how_long_the_server_has_not_been_heard(
    server: ScriptedServer, start: Start, eventually: Eventually, clock: FakeClock
) -> None:
    speak = threading.Event()
    server.answers(listing(10), Stream((added("a", 11), speak, bookmark(12))))
    informer = start(clock=clock)
    eventually(lambda: held(informer) == {"a@11"})
    assert informer.seconds_since_last_byte == 0
    clock.pass_(77)
    assert informer.seconds_since_last_byte == 77
    speak.set()
    eventually(lambda: informer.seconds_since_last_byte == 0)
    assert informer.watches == 1


def test_it_stops_at_once_though_it_waits_for_the_servers_next_word(
    server: ScriptedServer, client: Client, eventually: Eventually
) -> None:
    informer, crew = Informer(client, THINGS, times=WatchTimes(silence=600)), Crew()
    server.answers(listing(10), Stream((bookmark(11),)))
    informer.start(crew)
    eventually(lambda: server.of(watch=True))
    begun = time.monotonic()
    crew.stopping.set()
    informer.stop()
    assert crew.join(5)
    assert time.monotonic() - begun < 1
    assert crew.failure is None


def test_it_stops_at_once_though_it_waits_after_a_failure(
    server: ScriptedServer, client: Client, eventually: Eventually
) -> None:
    informer, crew = Informer(client, THINGS, times=WatchTimes(backoff=Backoff(600, 600))), Crew()
    server.answers(refusal(403))
    informer.start(crew)
    eventually(lambda: server.asked)
    crew.stopping.set()
    informer.stop()
    assert crew.join(1)


def test_requests_of_an_informer_are_told_of_as_all_are(
    server: ScriptedServer, client: Client, eventually: Eventually
) -> None:
    exchanges: list[Exchange] = []
    informer, crew = Informer(replace(client, observe=exchanges.append), THINGS, times=QUICK), Crew()
    server.answers(listing(10), refusal(410), listing(20))
    informer.start(crew)
    eventually(
        lambda: (
            [(each.verb, each.code) for each in exchanges]
            == [("list", 200), ("watch", 410), ("list", 200), ("watch", 200)]
        )
    )
    crew.stopping.set()
    informer.stop()
