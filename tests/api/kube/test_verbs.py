"""The verbs, as a real API server understands them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from mmaction_operator.kube import (
    AlreadyExists,
    Client,
    Conflict,
    Connection,
    Exchange,
    Forbidden,
    Invalid,
    Key,
    NotFound,
    Object,
    Resource,
    Selection,
    Unavailable,
    controller_of,
)
from tests.api.kube.objects import CONFIG_MAPS, TRAIN_JOBS, config_map, train_job
from tests.cluster.api_server import ApiServer
from tests.trainjob_cases import CASES

SPEC = CASES["manifest"]["spec"]
TOKEN_REVIEWS = Resource("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", namespaced=False)


@pytest.fixture
def others(client: Client) -> Client:
    """The same server, for somebody else who sets fields."""
    return replace(client, field_manager="others")


@pytest.fixture
def job(client: Client, namespace: str) -> Object:
    return client.create(TRAIN_JOBS, train_job(Key(namespace, "job"), spec=SPEC))


def test_more_objects_than_a_page_holds_are_all_listed_once(client: Client, namespace: str) -> None:
    exchanges: list[Exchange] = []
    with ThreadPoolExecutor(8) as pool:
        names = [f"n{number}" for number in range(1100)]
        list(pool.map(lambda name: client.create(CONFIG_MAPS, config_map(namespace, name)), names))
    listing = replace(client, observe=exchanges.append).list(CONFIG_MAPS, Selection(namespace))
    found = [item["metadata"]["name"] for item in listing.objects if item["metadata"]["name"] != "kube-root-ca.crt"]
    assert sorted(found) == sorted(names)
    assert [each.code for each in exchanges] == [200] * 3
    assert {item["kind"] for item in listing.objects} == {"ConfigMap"}


def test_the_server_selects(client: Client, namespace: str) -> None:
    for name, tier in (("a", "one"), ("b", "two"), ("c", "two")):
        item = config_map(namespace, name)
        item["metadata"]["labels"] = {"tier": tier}
        client.create(CONFIG_MAPS, item)

    def found(**selection: str) -> list[str]:
        listing = client.list(CONFIG_MAPS, Selection(namespace, **selection))
        return [item["metadata"]["name"] for item in listing.objects]

    assert found(labels="tier=two") == ["b", "c"]
    assert found(labels="tier in (one, two),tier!=one") == ["b", "c"]
    assert found(fields="metadata.name=a") == ["a"]


def test_applying_the_same_twice_changes_nothing(client: Client, namespace: str) -> None:
    first = client.apply(CONFIG_MAPS, config_map(namespace, "a", x="1"))
    second = client.apply(CONFIG_MAPS, config_map(namespace, "a", x="1"))
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Größe → 数据集 🎬", id="beyond ASCII, and beyond 16 bits"),
        pytest.param("a\x00b\x1b[31m\x7f\x9f", id="control characters, as in a terminal's output"),
        pytest.param("a\r\nb\x85c\u2028d\u2029e  \n  f", id="ends of lines"),
        pytest.param("\ufeffa\ufffeb\uffff", id="what is no character"),
        pytest.param("\\ \" ' : # - { & * ! % @ `", id="what means something in YAML"),
    ],
)
def test_any_text_arrives_as_it_was_said(client: Client, namespace: str, text: str) -> None:
    for send in (client.apply, client.create):
        client.delete(CONFIG_MAPS, Key(namespace, "a"))
        send(CONFIG_MAPS, config_map(namespace, "a", x=text))
        assert client.get(CONFIG_MAPS, Key(namespace, "a"))["data"]["x"] == text


def test_half_a_character_does_not_keep_the_rest_from_being_said(client: Client, namespace: str) -> None:
    client.apply(CONFIG_MAPS, config_map(namespace, "a", x="cut \ud83c off"))
    assert client.get(CONFIG_MAPS, Key(namespace, "a"))["data"]["x"] == "cut ? off"


def test_a_field_that_is_no_longer_applied_is_removed_and_others_fields_stay(
    client: Client, others: Client, namespace: str
) -> None:
    client.apply(CONFIG_MAPS, config_map(namespace, "a", mine="1", mine_too="2"))
    others.apply(CONFIG_MAPS, config_map(namespace, "a", theirs="3"))
    assert client.apply(CONFIG_MAPS, config_map(namespace, "a", mine="1"))["data"] == {"mine": "1", "theirs": "3"}


def test_two_who_set_one_field_are_in_conflict_unless_one_insists(
    client: Client, others: Client, namespace: str
) -> None:
    others.apply(CONFIG_MAPS, config_map(namespace, "a", x="theirs"))
    with pytest.raises(Conflict, match=r'conflict with "others".*\.data\.x'):
        client.apply(CONFIG_MAPS, config_map(namespace, "a", x="mine"), force=False)
    assert client.apply(CONFIG_MAPS, config_map(namespace, "a", x="mine"))["data"] == {"x": "mine"}
    with pytest.raises(Conflict, match='conflict with "tests"'):
        others.apply(CONFIG_MAPS, config_map(namespace, "a", x="theirs"), force=False)


def test_what_would_be_can_be_seen_without_it_being_done(client: Client, namespace: str) -> None:
    assert client.apply(CONFIG_MAPS, config_map(namespace, "a", x="1"), dry_run=True)["data"] == {"x": "1"}
    with pytest.raises(NotFound):
        client.get(CONFIG_MAPS, Key(namespace, "a"))


def test_a_status_is_applied_beside_the_spec(client: Client, job: Object) -> None:
    key = Key.of(job)
    client.apply_status(TRAIN_JOBS, train_job(key, status={"phase": "Running", "port": 20000}))
    stored = client.get(TRAIN_JOBS, key)
    assert (stored["status"]["phase"], stored["status"]["port"]) == ("Running", 20000)
    assert stored["spec"] == job["spec"]
    assert stored["metadata"]["generation"] == job["metadata"]["generation"]
    client.apply_status(TRAIN_JOBS, train_job(key, status={"phase": "Succeeded"}))
    stored = client.get(TRAIN_JOBS, key)
    assert stored["status"]["phase"] == "Succeeded"
    assert "port" not in stored["status"]


def test_a_status_can_be_merged_if_nobody_changed_the_object_meanwhile(client: Client, job: Object) -> None:
    key, version = Key.of(job), job["metadata"]["resourceVersion"]
    patch = {"metadata": {"resourceVersion": version}, "status": {"phase": "Running"}}
    client.merge(TRAIN_JOBS, key, patch, subresource="status")
    with pytest.raises(Conflict):
        client.merge(TRAIN_JOBS, key, patch, subresource="status")


def test_a_status_that_the_schema_does_not_know_is_refused(client: Client, job: Object) -> None:
    with pytest.raises(Unavailable, match="field not declared in schema"):
        client.apply_status(TRAIN_JOBS, train_job(Key.of(job), status={"unheardOf": 1}))


def test_what_was_read_and_changed_is_put_back_unless_it_has_changed(client: Client, namespace: str) -> None:
    read = client.create(CONFIG_MAPS, config_map(namespace, "a", x="1"))
    client.replace(CONFIG_MAPS, {**read, "data": {"x": "2"}})
    with pytest.raises(Conflict):
        client.replace(CONFIG_MAPS, {**read, "data": {"x": "3"}})
    assert client.get(CONFIG_MAPS, Key(namespace, "a"))["data"] == {"x": "2"}


def test_only_the_very_object_is_deleted(client: Client, namespace: str) -> None:
    key = Key(namespace, "a")
    first = client.create(CONFIG_MAPS, config_map(namespace, "a"))
    assert client.delete(CONFIG_MAPS, key, uid=first["metadata"]["uid"])
    second = client.create(CONFIG_MAPS, config_map(namespace, "a"))
    with pytest.raises(Conflict, match="UID"):
        client.delete(CONFIG_MAPS, key, uid=first["metadata"]["uid"])
    assert client.get(CONFIG_MAPS, key)["metadata"]["uid"] == second["metadata"]["uid"]
    assert client.delete(CONFIG_MAPS, key, version=second["metadata"]["resourceVersion"])
    assert not client.delete(CONFIG_MAPS, key)


def test_children_can_be_deleted_with_or_before_their_owner(client: Client, namespace: str) -> None:
    owner = client.create(CONFIG_MAPS, config_map(namespace, "owner"))
    assert client.delete(CONFIG_MAPS, Key.of(owner), propagation="Foreground")
    waiting = client.get(CONFIG_MAPS, Key.of(owner))  # nobody collects garbage here
    assert waiting["metadata"]["finalizers"] == ["foregroundDeletion"]


def test_an_owner_is_found_in_what_the_server_stores(client: Client, job: Object) -> None:
    child = config_map(job["metadata"]["namespace"], "child")
    owner = {name: job["metadata"][name] for name in ("name", "uid")}
    kind = {"apiVersion": job["apiVersion"], "kind": job["kind"], "controller": True}
    child["metadata"]["ownerReferences"] = [owner | kind]
    assert controller_of(client.apply(CONFIG_MAPS, child)) == owner | kind


def test_refusals_are_errors_with_the_servers_words(client: Client, namespace: str) -> None:
    client.create(CONFIG_MAPS, config_map(namespace, "a"))
    with pytest.raises(AlreadyExists, match="already exists"):
        client.create(CONFIG_MAPS, config_map(namespace, "a"))
    with pytest.raises(NotFound, match='configmaps "b" not found'):
        client.get(CONFIG_MAPS, Key(namespace, "b"))
    with pytest.raises(Invalid, match="RFC 1123"):
        client.create(CONFIG_MAPS, config_map(namespace, "Not A Name"))
    with pytest.raises(NotFound):
        client.list(Resource("nowhere.dev", "v1", "things", "Thing"))


def test_who_may_do_nothing_is_told_so(server: ApiServer) -> None:
    stranger = server.kubeconfig_for("nobody", server.authority.issue("nobody", user="nobody"))
    client = Client(connection=Connection.load(stranger, user_agent="tests"), field_manager="tests")
    with pytest.raises(Forbidden, match='User "nobody" cannot get resource'):
        client.get(CONFIG_MAPS, Key("default", "a"))


def test_a_token_can_be_reviewed(client: Client) -> None:
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "made up"}}
    status = client.create(TOKEN_REVIEWS, review)["status"]
    assert not status.get("authenticated")
    assert "invalid bearer token" in status["error"]
