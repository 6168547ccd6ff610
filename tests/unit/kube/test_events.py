"""Events are said once, counted after that, limited, and never in the way."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mmaction_operator.kube import Client, EventRecorder, Object
from tests.unit.kube.clock import FakeClock
from tests.unit.kube.scripted import Answer, Asked, Nothing, Script, ScriptedServer, refusal, thing

PATH = "/api/v1/namespaces/one/events"


def created(asked: Asked) -> Script:
    return Answer(201, asked.body)


@pytest.fixture
def recorder(client: Client, clock: FakeClock) -> EventRecorder:
    return made(client, clock)


def made(client: Client, clock: FakeClock, burst: int = 25) -> EventRecorder:
    """A recorder as a process has it when it starts."""

    def now() -> datetime:
        return datetime.fromtimestamp(clock(), UTC)

    return EventRecorder(client, component="tests", instance="pod-1", burst=burst, clock=clock, now=now)


def asked(server: ScriptedServer) -> list[tuple[str, object]]:
    """What was asked of the server, and the count that went with it."""
    return [(each.method, each.body and each.body.get("count")) for each in server.asked]


def test_what_is_said_again_is_counted(server: ScriptedServer, recorder: EventRecorder, clock: FakeClock) -> None:
    server.answers(created, Answer(), Answer())
    for _ in range(3):
        recorder.record(thing("a", 1), reason="Started", message="It has started.")
        clock.pass_(60)
    assert asked(server) == [("POST", 1), ("PATCH", 2), ("PATCH", 3)]
    first, second, _ = server.asked
    assert first.path == PATH
    assert second.path == f"{PATH}/{first.body['metadata']['name']}"
    assert second.body["lastTimestamp"] == "1970-01-01T00:17:40Z"
    assert "firstTimestamp" not in second.body


def test_an_event_says_who_says_what_of_whom(server: ScriptedServer, recorder: EventRecorder) -> None:
    server.answers(created)
    recorder.record(thing("a", 1), reason="Broken", message="It is broken.", warning=True)
    (event,) = (each.body for each in server.asked)
    assert event["involvedObject"] == {
        "apiVersion": "example.dev/v1",
        "kind": "Thing",
        "namespace": "one",
        "name": "a",
        "uid": "uid-a",
    }
    assert (event["type"], event["reason"], event["message"]) == ("Warning", "Broken", "It is broken.")
    assert (event["reportingComponent"], event["reportingInstance"]) == ("tests", "pod-1")
    assert event["source"] == {"component": "tests", "host": "pod-1"}


def test_what_is_said_of_an_object_without_namespace_is_kept_in_the_default_one(
    server: ScriptedServer, recorder: EventRecorder
) -> None:
    server.answers(created)
    about: Object = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "uid": "u"}}
    recorder.record(about, reason="Seen", message="It is there.")
    assert server.asked[0].path == "/api/v1/namespaces/default/events"
    assert "namespace" not in server.asked[0].body["involvedObject"]


def test_what_a_process_says_again_after_a_crash_is_counted_and_not_said_twice(
    server: ScriptedServer, client: Client, clock: FakeClock
) -> None:
    server.answers(created, refusal(409, "AlreadyExists"), Answer(body={"count": 7}), Answer(), Answer())
    made(client, clock).record(thing("a", 1), reason="Started", message="It has started.")
    after = made(client, clock)
    for _ in range(2):
        after.record(thing("a", 1), reason="Started", message="It has started.")
    assert asked(server) == [("POST", 1), ("POST", 1), ("GET", None), ("PATCH", 8), ("PATCH", 9)]
    assert server.asked[0].body["metadata"]["name"] == server.asked[1].body["metadata"]["name"]


@pytest.mark.parametrize(
    "other",
    [
        {"about": thing("a", 1, uid="another")},
        {"reason": "Ended"},
        {"message": "It has started well."},
        {"warning": True},
    ],
)
def test_what_differs_is_another_event(
    server: ScriptedServer, recorder: EventRecorder, other: dict[str, object]
) -> None:
    server.answers(created, created)
    usual = {"about": thing("a", 1), "reason": "Started", "message": "It has started."}
    for what in (usual, {**usual, **other}):
        about = what.pop("about")
        recorder.record(about, **what)  # type: ignore[arg-type]
    assert len({each.body["metadata"]["name"] for each in server.asked}) == 2


def test_an_event_that_the_server_no_longer_has_is_said_anew(server: ScriptedServer, recorder: EventRecorder) -> None:
    server.answers(created, refusal(404), created)
    for _ in range(2):
        recorder.record(thing("a", 1), reason="Started", message="It has started.")
    assert asked(server) == [("POST", 1), ("PATCH", 2), ("POST", 1)]


def test_of_one_object_only_so_much_is_said(server: ScriptedServer, client: Client, clock: FakeClock) -> None:
    server.answers(*[created] * 10)
    recorder = made(client, clock, burst=2)
    for number in range(5):
        recorder.record(thing("a", 1), reason="Says", message=f"number {number}")
    recorder.record(thing("b", 1), reason="Says", message="something")
    assert [each.body["message"] for each in server.asked] == ["number 0", "number 1", "something"]
    clock.pass_(300)
    for number in range(5, 8):
        recorder.record(thing("a", 1), reason="Says", message=f"number {number}")
    assert [each.body["message"] for each in server.asked[3:]] == ["number 5"]


def test_only_so_many_objects_are_remembered(server: ScriptedServer, client: Client, clock: FakeClock) -> None:
    server.answers(*[created] * 50)
    recorder = EventRecorder(client, component="tests", instance="pod-1", objects=10, clock=clock)
    for number in range(50):
        recorder.record(thing(f"n{number}", 1), reason="Says", message="something")
    assert len(recorder._told) == 10


def test_a_long_message_is_cut_off(server: ScriptedServer, recorder: EventRecorder) -> None:
    server.answers(created)
    recorder.record(thing("a", 1), reason="Says", message="x" * 5000)
    assert len(server.asked[0].body["message"]) == 1024
    assert server.asked[0].body["message"].endswith("x…")


@pytest.mark.parametrize("trouble", [refusal(403, message="no events here"), refusal(500), Nothing()])
def test_an_event_that_cannot_be_said_is_no_ones_failure(
    server: ScriptedServer, recorder: EventRecorder, caplog: pytest.LogCaptureFixture, trouble: Script
) -> None:
    server.answers(trouble)
    recorder.record(thing("a", 1), reason="Started", message="It has started.")
    assert "event not recorded: Started: It has started." in caplog.text
