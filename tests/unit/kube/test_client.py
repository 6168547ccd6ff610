"""The verbs, and what becomes of them when the server, or the way to it, is in trouble. On real sockets."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import Any

import pytest

from mmaction_operator.kube import (
    AlreadyExists,
    Client,
    Conflict,
    Exchange,
    Forbidden,
    Gone,
    Invalid,
    Key,
    NotFound,
    Patience,
    Refused,
    Selection,
    TokenBucket,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    Unreachable,
)
from tests.unit.kube.clock import FakeClock
from tests.unit.kube.scripted import THINGS, Answer, Nothing, ScriptedServer, Stream, listing, refusal, thing

A = Key("one", "a")
PATH = "/apis/example.dev/v1/namespaces/one/things/a"


def named(count: int, first: int = 0) -> list[dict[str, Any]]:
    """Items of a list as built-in kinds have them: without apiVersion and kind."""
    return [{"metadata": {"name": f"n{number}", "namespace": "one"}} for number in range(first, first + count)]


def test_a_list_is_read_page_by_page_and_is_from_one_moment(server: ScriptedServer, client: Client) -> None:
    server.answers(listing(7, *named(2), token="next page"), listing(7, *named(1, first=2)))
    found = client.list(THINGS, Selection("one", labels="app=x,tier!=y", fields="metadata.name=z"))
    assert found.version == "7"
    assert [item["metadata"]["name"] for item in found.objects] == ["n0", "n1", "n2"]
    first, second = server.asked
    assert first.path == "/apis/example.dev/v1/namespaces/one/things"
    selected = {"limit": "500", "labelSelector": "app=x,tier!=y", "fieldSelector": "metadata.name=z"}
    assert first.query == selected
    assert second.query == {**selected, "continue": "next page"}


def test_objects_of_a_list_say_what_they_are(server: ScriptedServer, client: Client) -> None:
    server.answers(listing(1, *named(1)))
    (item,) = client.list(THINGS).objects
    assert (item["apiVersion"], item["kind"]) == ("example.dev/v1", "Thing")


def test_what_is_not_kept_of_an_object_is_dropped_while_the_list_is_read(
    server: ScriptedServer, client: Client
) -> None:
    server.answers(listing(1, *named(2)))
    assert client.list(THINGS, trim=lambda item: {"kept": item["metadata"]["name"]}).objects == [
        {"kept": "n0"},
        {"kept": "n1"},
    ]


def test_a_list_whose_pages_became_too_old_is_begun_anew(server: ScriptedServer, client: Client) -> None:
    server.answers(listing(7, *named(2), token="old"), refusal(410, "Expired"), listing(9, *named(1)))
    found = client.list(THINGS)
    assert (found.version, len(found.objects)) == ("9", 1)
    assert "continue" not in server.asked[2].query


def test_a_list_is_not_begun_anew_for_ever(server: ScriptedServer, client: Client) -> None:
    server.answers(*[listing(7, *named(2), token="old"), refusal(410, "Expired")] * 3)
    with pytest.raises(Gone):
        client.list(THINGS)
    assert len(server.asked) == 6


@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [
        (400, "BadRequest", Invalid),
        (401, "Unauthorized", Unauthorized),
        (403, "Forbidden", Forbidden),
        (404, "NotFound", NotFound),
        (409, "Conflict", Conflict),
        (409, "AlreadyExists", AlreadyExists),
        (410, "Expired", Gone),
        (418, "", Refused),
        (422, "Invalid", Invalid),
        (429, "TooManyRequests", TooManyRequests),
        (500, "InternalError", Unavailable),
        (503, "ServiceUnavailable", Unavailable),
    ],
)
def test_a_refusal_is_an_error_of_its_own_that_says_what_was_asked_and_why_not(
    server: ScriptedServer, client: Client, code: int, reason: str, error: type[Refused]
) -> None:
    server.answers(*[refusal(code, reason, "Because of that.")] * 4)
    with pytest.raises(Refused) as refused:
        client.get(THINGS, A)
    assert type(refused.value) is error
    assert str(refused.value) == f"get {PATH}: {code} {reason or 'no reason'}: Because of that."


def test_a_refusal_that_a_proxy_wrote_is_shown_as_it_is(server: ScriptedServer, client: Client) -> None:
    server.answers(Answer(403, b"<h1>Not through here</h1>"))
    with pytest.raises(Forbidden, match="<h1>Not through here</h1>"):
        client.get(THINGS, A)


@pytest.mark.parametrize("code", [429, 503])
def test_the_server_says_when_to_ask_again(
    server: ScriptedServer, client: Client, slept: list[float], code: int
) -> None:
    server.answers(refusal(code, Retry_After="3"), refusal(code, Retry_After="2"), Answer(body={"it": "is here"}))
    assert client.get(THINGS, A) == {"it": "is here"}
    assert slept == [3, 2]


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(refusal(429), id="too many requests"),
        pytest.param(refusal(502), id="a load balancer has no server"),
        pytest.param(refusal(503), id="the server starts"),
        pytest.param(refusal(504), id="the server's storage is slow"),
        pytest.param(Nothing(), id="the connection is lost"),
        pytest.param(Answer(body=b"<p>Welcome!</p>"), id="somebody else answers"),
        pytest.param(Answer(body={"half": 1}, promised=50), id="the answer breaks off"),
    ],
)
def test_what_passes_is_asked_again_later_each_time_and_not_for_ever(
    server: ScriptedServer, client: Client, slept: list[float], trouble: Answer
) -> None:
    server.answers(*[trouble] * 3, Answer(body={"it": "is here"}))
    assert client.get(THINGS, A) == {"it": "is here"}
    assert 0.2 <= slept[0] <= 0.3
    assert 0.4 <= slept[1] <= 0.6
    assert 0.8 <= slept[2] <= 1.2
    server.answers(*[trouble] * 4)
    with pytest.raises((Unreachable, TooManyRequests, Unavailable)):
        client.get(THINGS, A)
    assert len(server.asked) == 8


@pytest.mark.parametrize("code", [400, 401, 403, 404, 409, 422, 500])
def test_what_does_not_pass_is_not_asked_again(server: ScriptedServer, client: Client, code: int) -> None:
    server.answers(refusal(code))
    with pytest.raises(Refused):
        client.get(THINGS, A)
    assert len(server.asked) == 1


def test_a_server_that_wants_more_time_than_there_is_is_not_asked_again(server: ScriptedServer, client: Client) -> None:
    server.answers(refusal(429, Retry_After="3600"))
    with pytest.raises(TooManyRequests) as refused:
        client.get(THINGS, A)
    assert refused.value.retry_after == 3600


@pytest.mark.parametrize("trouble", [refusal(503), Nothing()])
def test_making_an_object_is_not_repeated_where_it_may_have_been_made(
    server: ScriptedServer, client: Client, trouble: Answer
) -> None:
    server.answers(trouble)
    with pytest.raises((Unreachable, Unavailable)):
        client.create(THINGS, thing("a", 0))
    assert len(server.asked) == 1


def test_making_an_object_is_repeated_where_the_server_has_not_looked_at_it(
    server: ScriptedServer, client: Client
) -> None:
    server.answers(refusal(429), Answer(201, thing("a", 1)))
    assert client.create(THINGS, thing("a", 0)) == thing("a", 1)


def test_a_server_that_says_nothing_is_given_up(server: ScriptedServer, client: Client) -> None:
    server.answers(Stream())
    impatient = replace(client, patience=Patience(read=0.1, attempts=1))
    with pytest.raises(Unreachable, match=f"get {PATH}: no answer: .*timed out"):
        impatient.get(THINGS, A)


def test_nobody_listens(server: ScriptedServer, client: Client) -> None:
    server.stop()
    with pytest.raises(Unreachable, match="refused"):
        client.get(THINGS, A)
    server.start()


def test_applying_says_who_it_is_and_takes_fields_from_others(server: ScriptedServer, client: Client) -> None:
    server.answers(*[Answer(body=thing("a", 1))] * 3)
    client.apply(
        THINGS, {"apiVersion": "example.dev/v1", "kind": "Thing", "metadata": {"namespace": "one", "name": "a"}}
    )
    client.apply(THINGS, thing("a", 1), force=False)
    client.apply_status(THINGS, thing("a", 1))
    first, second, third = server.asked
    assert (first.method, first.path) == ("PATCH", PATH)
    assert first.headers["Content-Type"] == "application/apply-patch+yaml"
    assert first.query == {"fieldManager": "tests", "force": "true"}
    assert second.query == {"fieldManager": "tests", "force": "false"}
    assert third.path == f"{PATH}/status"


def test_merging_and_replacing(server: ScriptedServer, client: Client) -> None:
    server.answers(*[Answer(body=thing("a", 2))] * 2)
    client.merge(THINGS, A, {"status": {"phase": None}}, subresource="status")
    client.replace(THINGS, thing("a", 1))
    merged, replaced = server.asked
    assert (merged.method, merged.path, merged.body) == ("PATCH", f"{PATH}/status", {"status": {"phase": None}})
    assert merged.headers["Content-Type"] == "application/merge-patch+json"
    assert (replaced.method, replaced.path, replaced.body) == ("PUT", PATH, thing("a", 1))


def test_deleting_names_the_very_object_and_what_becomes_of_its_children(
    server: ScriptedServer, client: Client
) -> None:
    server.answers(Answer(), refusal(404), refusal(409))
    assert client.delete(THINGS, A, uid="u", version="5", propagation="Foreground")
    assert server.asked[0].body == {
        "propagationPolicy": "Foreground",
        "preconditions": {"uid": "u", "resourceVersion": "5"},
    }
    assert not client.delete(THINGS, A)
    assert server.asked[1].body == {"propagationPolicy": "Background", "preconditions": {}}
    with pytest.raises(Conflict):
        client.delete(THINGS, A, uid="u")


def test_names_cannot_lead_a_path_elsewhere(server: ScriptedServer, client: Client) -> None:
    server.answers(refusal(404))
    with pytest.raises(NotFound):
        client.get(THINGS, Key("one", "../../secrets/a"))
    assert server.asked[0].path == "/apis/example.dev/v1/namespaces/one/things/..%2F..%2Fsecrets%2Fa"


def test_requests_are_limited_all_together(
    server: ScriptedServer, client: Client, slept: list[float], clock: FakeClock
) -> None:
    limited = replace(client, limit=TokenBucket(10, 2, clock))
    server.answers(*[Answer()] * 4)
    for _ in range(2):
        limited.get(THINGS, A)
        limited.apply(THINGS, thing("a", 1))
    assert [round(wait, 6) for wait in slept] == [0.1, 0.2]


def test_by_default_fifty_requests_a_second_are_made(client: Client) -> None:
    usual = Client(connection=client.connection, field_manager="tests")
    assert usual.limit is not None
    assert (usual.limit.rate, usual.limit.burst) == (50, 100)


@pytest.mark.parametrize(
    ("stream", "error"),
    [
        (Stream((b'{"type": "ADDED", "obj',), "in order"), "the stream ended within a line"),
        (Stream((b'{"type": "ADDED", "obj',), "cut"), "no answer"),
        (Stream((b"<html>\n",), "in order"), "no answer"),
    ],
)
def test_a_watch_that_breaks_off_says_so(server: ScriptedServer, client: Client, stream: Stream, error: str) -> None:
    server.answers(stream)
    with (
        client.watch(THINGS, version="1", seconds=60, silence=5) as watch,
        pytest.raises(Unreachable, match=f"watch /apis/example.dev/v1/things: {error}"),
    ):
        list(watch)


LOG = "/api/v1/namespaces/one/pods/a/log"


def test_a_log_arrives_in_pieces_while_it_is_written(server: ScriptedServer, client: Client) -> None:
    later = threading.Event()
    server.answers(Stream((b"first\nsec", later, b"ond\n"), "in order"))
    pieces = client.log(A, {"follow": "true", "tailLines": "5"}, silence=5)
    assert next(pieces) == b"first\nsec"
    later.set()
    assert b"".join(pieces) == b"ond\n"
    (asked,) = server.asked
    assert (asked.path, asked.query) == (LOG, {"follow": "true", "tailLines": "5"})


def test_a_log_that_breaks_off_or_is_refused_says_so(server: ScriptedServer, client: Client) -> None:
    server.answers(Stream((b"half a l",), "cut"), Stream(), refusal(400, "BadRequest", "waiting to start"))
    with pytest.raises(Unreachable, match=f"log {LOG}: no answer"):
        list(client.log(A))
    with pytest.raises(Unreachable, match="timed out"):
        list(client.log(A, silence=0.1))
    with pytest.raises(Invalid, match="waiting to start"):
        client.log(A)


def test_every_request_is_told_of(server: ScriptedServer, client: Client) -> None:
    exchanges: list[Exchange] = []
    observed = replace(client, observe=exchanges.append, patience=Patience(attempts=2))
    server.answers(Nothing(), Answer(), refusal(404), listing(1))
    observed.apply(THINGS, thing("a", 1))
    observed.delete(THINGS, A)
    observed.list(THINGS)
    observed.watch(THINGS, version="1", seconds=60, silence=1).interrupt()
    assert [(each.verb, str(each.resource), each.code) for each in exchanges] == [
        ("apply", "things.example.dev", 0),
        ("apply", "things.example.dev", 200),
        ("delete", "things.example.dev", 404),
        ("list", "things.example.dev", 200),
        ("watch", "things.example.dev", 200),
    ]
    assert all(each.seconds > 0 for each in exchanges)


def test_any_text_arrives_as_it_was_sent(server: ScriptedServer, client: Client) -> None:
    text = "Größe → 数据集 🎬 \u2028"
    server.answers(lambda asked: Answer(body=asked.body))
    assert client.create(THINGS, {"metadata": {"namespace": "one"}, "text": text})["text"] == text
    assert json.dumps(server.asked[0].body["text"]) == json.dumps(text)
