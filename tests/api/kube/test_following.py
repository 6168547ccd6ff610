"""Informers and watches of a real API server, also of one that dies while its storage goes on."""

from __future__ import annotations

import base64
import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from mmaction_operator.kube import Backoff, Client, Crew, Exchange, Informer, Key, Object, Selection, WatchTimes
from tests.api.kube.conftest import Eventually, client_of
from tests.api.kube.objects import CONFIG_MAPS, config_map
from tests.cluster.api_server import start_api_server
from tests.cluster.mortal import Mortal


@contextmanager
def following(informer: Informer) -> Iterator[Informer]:
    """An informer for as long as the body runs; it has to end within a second."""
    crew = Crew()
    informer.start(crew)
    yield informer
    begun = time.monotonic()
    crew.stopping.set()
    informer.stop()
    assert crew.join(5)
    assert crew.failure is None
    assert time.monotonic() - begun < 1


def names(informer: Informer) -> set[str]:
    return {item["metadata"]["name"] for item in informer.store.all()}


def test_a_watch_sees_an_object_made_changed_and_deleted(client: Client, namespace: str) -> None:
    selection = Selection(namespace, fields="metadata.name=a")
    version = client.list(CONFIG_MAPS, selection).version
    client.create(CONFIG_MAPS, config_map(namespace, "b"))
    client.apply(CONFIG_MAPS, config_map(namespace, "a", x="1"))
    client.apply(CONFIG_MAPS, config_map(namespace, "a", x="2"))
    client.delete(CONFIG_MAPS, Key(namespace, "a"))
    with client.watch(CONFIG_MAPS, selection, version=version, seconds=1, silence=10) as watch:
        seen = [(event.type, event.object.get("data")) for event in watch if event.type != "BOOKMARK"]
    assert seen == [("ADDED", {"x": "1"}), ("MODIFIED", {"x": "2"}), ("DELETED", {"x": "2"})]


def test_an_informer_follows_and_keeps_no_managed_fields(
    client: Client, namespace: str, eventually: Eventually
) -> None:
    changes: list[tuple[Object | None, Object | None]] = []
    informer = Informer(client, CONFIG_MAPS, namespaces=(namespace,), fields="metadata.name!=kube-root-ca.crt")
    informer.on_change(lambda old, new: changes.append((old, new)))
    client.apply(CONFIG_MAPS, config_map(namespace, "a", x="1"))
    with following(informer):
        eventually(lambda: names(informer) == {"a"})
        client.apply(CONFIG_MAPS, config_map(namespace, "a", x="2"))
        client.create(CONFIG_MAPS, config_map(namespace, "b"))
        client.delete(CONFIG_MAPS, Key(namespace, "a"))
        eventually(lambda: names(informer) == {"b"})
    assert [(old and old.get("data"), new and new.get("data")) for old, new in changes] == [
        (None, {"x": "1"}),
        ({"x": "1"}, {"x": "2"}),
        (None, None),
        ({"x": "2"}, None),
    ]
    (item,) = informer.store.all()
    assert "managedFields" not in item["metadata"]


def test_what_no_longer_matches_the_labels_is_gone(client: Client, namespace: str, eventually: Eventually) -> None:
    item = config_map(namespace, "a")
    item["metadata"]["labels"] = {"mine": "yes"}
    client.apply(CONFIG_MAPS, item)
    with following(Informer(client, CONFIG_MAPS, namespaces=(namespace,), labels="mine=yes")) as informer:
        eventually(lambda: names(informer) == {"a"})
        item["metadata"]["labels"] = {"mine": "no"}
        client.apply(CONFIG_MAPS, item)
        eventually(lambda: names(informer) == set())


def test_a_watch_that_the_server_ends_in_order_is_resumed_without_a_list(
    client: Client, namespace: str, eventually: Eventually
) -> None:
    times = WatchTimes(shortest=1, longest=1)
    with following(Informer(client, CONFIG_MAPS, namespaces=(namespace,), times=times)) as informer:
        eventually(lambda: informer.watches == 3)
        client.create(CONFIG_MAPS, config_map(namespace, "late"))
        eventually(lambda: "late" in names(informer))
    assert informer.lists == 1


class Forgetful(Mortal):
    """An API server that a test can kill and bring back, and whose storage forgets."""

    def forget(self, namespace: str, name: str) -> None:
        """Remove a ConfigMap from storage, behind the API server's back."""
        self.storage("kv/deleterange", key=base64.b64encode(f"/registry/configmaps/{namespace}/{name}".encode()))

    def compact(self) -> None:
        """Let storage forget all older versions, as the API server has it do every five minutes."""
        revision = self.storage("kv/range", key=base64.b64encode(b"x"))["header"]["revision"]
        self.storage("kv/compaction", revision=revision, physical=True)

    def storage(self, what: str, **sent: object) -> dict[str, Any]:
        body = json.dumps(sent, default=bytes.decode).encode()
        with urllib.request.urlopen(f"http://{self.server.address}:2379/v3/{what}", body, timeout=10) as answer:
            said: dict[str, Any] = json.load(answer)
        return said


@pytest.fixture(scope="module")
def mortal() -> Iterator[Forgetful]:
    """An API server of these tests' own."""
    with start_api_server() as server:
        yield Forgetful(server)


def test_what_was_deleted_while_the_server_was_away_is_told_when_it_is_back(
    mortal: Forgetful, eventually: Eventually
) -> None:
    client, gone = client_of(mortal.server), []
    for name in ("stays", "goes"):
        client.create(CONFIG_MAPS, config_map("default", name))
    times = WatchTimes(backoff=Backoff(0.1, 0.5))
    informer = Informer(client, CONFIG_MAPS, namespaces=("default",), times=times)
    informer.on_change(lambda old, new: gone.append(old["metadata"]["name"]) if old and not new else None)
    with following(informer):
        eventually(lambda: names(informer) == {"stays", "goes"})
        mortal.kill()
        mortal.forget("default", "goes")
        assert names(informer) == {"stays", "goes"}
        mortal.revive()
        eventually(lambda: names(informer) == {"stays"})
        client.create(CONFIG_MAPS, config_map("default", "comes"))
        eventually(lambda: names(informer) == {"stays", "comes"})
    assert gone == ["goes"]
    assert informer.lists == 2  # the first one, and one for what the restarted server no longer knew


def test_a_list_whose_next_page_is_no_longer_kept_is_begun_anew(mortal: Forgetful) -> None:
    client = client_of(mortal.server)
    mortal.server.kubectl("create", "namespace", "pages")
    for number in range(4):
        client.create(CONFIG_MAPS, config_map("pages", f"n{number}"))
    codes: list[int] = []

    def observe(exchange: Exchange) -> None:
        codes.append(exchange.code)
        if len(codes) == 1:
            client.create(CONFIG_MAPS, config_map("pages", "n4"))
            mortal.kill()
            mortal.compact()
            mortal.revive()

    found = replace(client, observe=observe).list(CONFIG_MAPS, Selection("pages"), page=3)
    assert {item["metadata"]["name"] for item in found.objects} == {f"n{number}" for number in range(5)}
    assert codes == [200, 410, 200, 200]
