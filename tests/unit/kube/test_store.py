"""What the cache gives back, and to whom it belongs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from mmaction_operator.kube import Key, Object, Store
from tests.unit.kube.scripted import thing


def owned_by(uid: str, *, controller: bool = True) -> dict[str, Any]:
    owner = {"apiVersion": "example.dev/v1", "kind": "Owner", "name": uid, "uid": uid, "controller": controller}
    return {"ownerReferences": [owner]}


def ports(item: Object) -> Iterable[str]:
    return [str(item["spec"]["port"])] if "spec" in item else []


@pytest.fixture
def store() -> Store:
    return Store({"port": ports})


def names(items: Iterable[Object]) -> list[str]:
    return [item["metadata"]["name"] for item in items]


def test_children_are_found_by_the_uid_of_their_controller(store: Store) -> None:
    store.put(thing("b", 1, **owned_by("owner")))
    store.put(thing("a", 2, **owned_by("owner")))
    store.put(thing("another's", 3, **owned_by("other")))
    store.put(thing("used", 4, **owned_by("owner", controller=False)))
    store.put(thing("alone", 5))
    assert names(store.children("owner")) == ["a", "b"]
    assert store.children("nobody") == []


def test_a_child_that_changes_hands_is_found_with_its_new_owner_alone(store: Store) -> None:
    store.put(thing("a", 1, **owned_by("old")))
    store.put(thing("a", 2, **owned_by("new")))
    assert names(store.children("old")) == []
    assert names(store.children("new")) == ["a"]


def test_any_question_can_be_an_index(store: Store) -> None:
    store.put(thing("a", 1, spec={"port": 20000}))
    store.put(thing("b", 2, spec={"port": 20000}))
    store.put(thing("c", 3, spec={"port": 20001}))
    store.put(thing("without", 4))
    assert names(store.by("port", "20000")) == ["a", "b"]
    assert store.values("port") == {
        "20000": frozenset({Key("one", "a"), Key("one", "b")}),
        "20001": frozenset({Key("one", "c")}),
    }
    store.remove(thing("c", 5))
    assert set(store.values("port")) == {"20000"}


def test_whoever_changes_what_was_given_changes_nothing_for_others(store: Store) -> None:
    given = thing("a", 1, spec={"port": 1})
    store.put(given)
    given["spec"]["port"] = 2
    for read in (store.get(Key("one", "a")), *store.all(), *store.by("port", "1")):
        assert read is not None
        assert read["spec"]["port"] == 1
        read["spec"]["port"] = 3
        read["metadata"].clear()


def test_a_change_tells_before_and_after(store: Store) -> None:
    first, second = thing("a", 1), thing("a", 2, labels={"new": "yes"})
    change = store.put(first)
    assert change is not None
    assert (change.old, change.new) == (None, first)
    change = store.put(second)
    assert change is not None
    assert (change.old, change.new) == (first, second)
    change = store.remove(thing("a", 3))
    assert change is not None
    assert (change.old, change.new) == (second, None)
    assert store.get(Key("one", "a")) is None


@pytest.mark.parametrize(
    ("version", "is_taken"), [("9", False), ("10", False), ("11", True), ("100", True), ("opaque", True)]
)
def test_an_older_version_never_takes_the_place_of_a_newer_one(store: Store, version: str, is_taken: bool) -> None:
    store.put(thing("a", 10))
    assert (
        store.put(thing("a", 0) | {"metadata": thing("a", 0)["metadata"] | {"resourceVersion": version}}) is not None
    ) is is_taken


def test_a_late_word_of_a_deletion_does_not_delete_what_was_made_since(store: Store) -> None:
    store.put(thing("a", 20, uid="second"))
    assert store.remove(thing("a", 15, uid="first")) is None
    assert len(store) == 1


def test_what_a_list_lacks_has_been_deleted(store: Store) -> None:
    for version, name in enumerate("abc", start=1):
        store.put(thing(name, version))
    changes = store.replace([thing("a", 1), thing("b", 5), thing("d", 6)])
    told = {(names([change.old or change.new or {}])[0], change.old is None, change.new is None) for change in changes}
    assert told == {("b", False, False), ("c", False, True), ("d", True, False)}
    assert names(store.all()) == ["a", "b", "d"]


def test_the_list_of_one_namespace_says_nothing_of_another(store: Store) -> None:
    store.put(thing("a", 1, namespace="one"))
    store.put(thing("b", 2, namespace="two"))
    store.replace([], "one")
    assert names(store.all()) == ["b"]


def test_a_list_is_right_even_where_its_versions_are_lower(store: Store) -> None:
    store.put(thing("a", 900, spec={"port": 2}))
    store.replace([thing("a", 30, spec={"port": 1})])
    assert names(store.by("port", "1")) == ["a"]


def test_an_index_that_fails_leaves_everything_as_it_was(store: Store) -> None:
    store.put(thing("a", 1, spec={"port": 1}))
    with pytest.raises(KeyError):
        store.put(thing("a", 2, spec={}))
    assert names(store.by("port", "1")) == ["a"]
