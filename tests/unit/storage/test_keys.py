"""Names and URIs: what joins, what is refused, and that nothing gets out."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmaction_trainer.contract.errors import ConfigFailure, StorageFailure
from mmaction_trainer.storage.keys import S3Location, join, key_fault, locate

NAME = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1).filter(
    lambda name: name not in (".", "..")
)
KEY = st.lists(NAME, min_size=1, max_size=5).map("/".join)
ANYTHING = st.lists(st.sampled_from(["a", "..", ".", "", "b c", "\0", "~", "%2e%2e", "\\"]), max_size=6).map("/".join)


@given(prefix=st.just("") | KEY, key=KEY)
def test_a_good_key_ends_the_joined_name_and_comes_off_again(prefix: str, key: str) -> None:
    joined = join("s3://bucket", prefix, key)
    assert joined.removeprefix(f"{prefix}/" if prefix else "") == key
    assert key_fault(joined) == ""


@given(key=ANYTHING)
def test_a_key_is_refused_or_stays_below_any_root(key: str) -> None:
    if {"", ".", ".."} & set(key.split("/")) or "\0" in key:
        with pytest.raises(StorageFailure, match=r"^/data/root: object name"):
            join("/data/root", "", key)
        return
    joined = join("/data/root", "", key)
    parts = PurePosixPath("/data/root", joined).parts
    assert parts[:3] == ("/", "data", "root")
    assert ".." not in parts
    assert len(parts) == 3 + len(key.split("/"))


@given(prefix=st.just("") | KEY.filter(lambda key: key == key.strip("/")))
def test_an_s3_uri_is_taken_apart_and_put_together(prefix: str) -> None:
    location = S3Location("results", prefix)
    assert locate(location.uri) == location
    assert locate(f"{location.uri}/") == location, "a trailing slash changes nothing"


@pytest.mark.parametrize(
    ("uri", "folder"),
    [
        ("/data/ucf101", "/data/ucf101"),
        ("file:///data/ucf101", "/data/ucf101"),
        ("file://localhost/data/a%20b", "/data/a b"),
        ("/data/a%20b", "/data/a%20b"),
        ("results", str(Path.cwd() / "results")),
    ],
)
def test_folders_by_path_and_by_uri(uri: str, folder: str) -> None:
    assert locate(uri) == Path(folder)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "s3://",
        "s3:///prefix",
        "s3://-/x",
        "s3://bucket/a/../b",
        "s3://bucket/a//b",
        "gs://bucket/x",
        "https://bucket.s3.amazonaws.com/x",
        "file://server/share",
        "file:///data?x=1",
    ],
)
def test_what_names_no_storage_is_refused_with_what_is_accepted(uri: str) -> None:
    with pytest.raises(ConfigFailure) as caught:
        locate(uri)
    assert "accepted: " in str(caught.value)


@pytest.mark.parametrize("uri", ["s3://AKIA:hush-hush@bucket/x", "https://user:hush-hush@host/x"])
def test_a_secret_in_a_uri_is_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(ConfigFailure) as caught:
        locate(uri)
    assert "hush" not in str(caught.value)
