"""A node's cache of videos: shared by processes, bounded, and never anything half in it."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from mmaction_trainer.contract.errors import DiskFailure, StorageFailure
from mmaction_trainer.data.cache import NEEDED, Cache, is_whole
from mmaction_trainer.data.fetching import fetch, home
from mmaction_trainer.storage import Storage, Stored, open_storage
from tests.cluster.s3 import S3Server, client
from tests.cluster.s3_faults import Answer, Fault, Forward, Request, in_front_of

SPAWN = multiprocessing.get_context("spawn")
SIZE = 100_000
"""Bytes of each video here."""
KILLS = int(os.environ.get("KILLS", "8"))


@pytest.fixture
def bucket(s3: S3Server, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A new bucket, in the environment's reach."""
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    return s3.bucket(f"cache-{abs(hash(request.node.name))}-{time.monotonic_ns()}")


def content(key: str) -> bytes:
    """What a video holds: nothing that another one does."""
    return random.Random(key).randbytes(SIZE)


def put(uri: str, *keys: str) -> Storage:
    """A data set with these videos."""
    storage = open_storage(uri)
    for key in keys:
        storage.write(key, content(key))
    return storage


def listed(storage: Storage) -> dict[str, Stored]:
    return {stored.key: stored for stored in storage.list()}


def bring(storage: Storage, cache: Cache, *keys: str) -> Path:
    """Fetch these videos, or all, and give their folder."""
    here = home(storage, cache.root)
    files = listed(storage)
    fetch(storage, {key: files[key] for key in keys or files}, here, cache, lambda done, total, what: None)
    return here


def used(path: Path, seconds_ago: float) -> None:
    """Have a video as if it had been used so long ago."""
    found = path.stat()
    os.utime(path, (time.time() - seconds_ago, found.st_mtime))


@pytest.fixture
def others(cache: Cache) -> Iterator[list[Cache]]:
    """More attempts on the same node; those that are put here are closed at the end."""
    made: list[Cache] = []
    yield made
    for each in made:
        each.close()


def test_a_video_is_as_old_as_its_object_and_is_fetched_once(bucket: str, cache: Cache) -> None:
    storage = put(f"{bucket}/set", "a.mp4")
    here = bring(storage, cache)
    first = (here / "a.mp4").stat()
    assert int(first.st_mtime) == listed(storage)["a.mp4"].modified
    bring(storage, cache)
    assert (here / "a.mp4").stat().st_ino == first.st_ino


def test_an_object_that_was_replaced_by_one_of_the_same_size_is_fetched_again(bucket: str, cache: Cache) -> None:
    storage = put(f"{bucket}/set", "a.mp4")
    here = bring(storage, cache)
    time.sleep(2.1)  # S3 tells times in whole seconds, and servers round
    storage.write("a.mp4", content("another"))
    bring(storage, cache)
    assert (here / "a.mp4").read_bytes() == content("another")


def test_an_object_that_is_replaced_after_it_was_listed_is_not_taken_for_it(bucket: str, cache: Cache) -> None:
    storage = put(f"{bucket}/set", "a.mp4")
    files = listed(storage)
    storage.write("a.mp4", b"another")
    here = home(storage, cache.root)
    with pytest.raises(StorageFailure, match="it was replaced after it was listed"):
        fetch(storage, files, here, cache, lambda done, total, what: None)
    assert not (here / "a.mp4").exists()


@pytest.mark.parametrize("damage", [lambda body: body[:-1] + bytes([body[-1] ^ 1]), lambda body: body[:-7]])
def test_a_damaged_answer_never_becomes_a_video(
    bucket: str, s3: S3Server, cache: Cache, monkeypatch: pytest.MonkeyPatch, damage: Fault
) -> None:
    storage = put(f"{bucket}/set", "a.mp4")

    def damages(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        if request.method == "GET" and request.path.endswith("a.mp4"):
            answer.body = damage(answer.body)  # type: ignore[arg-type,assignment,call-arg]
            answer.headers = {name: value for name, value in answer.headers.items() if name != "Content-Length"}
        return answer

    with in_front_of(s3, damages) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
        with pytest.raises(StorageFailure, match="arrived damaged"):
            bring(open_storage(storage.uri), cache)
    assert not list(cache.root.rglob("a.mp4"))
    assert [path.name for path in cache.own.iterdir()] == [NEEDED]


def test_what_was_used_longest_ago_goes_first_and_what_is_needed_stays(bucket: str, tmp_path: Path) -> None:
    one, two = put(f"{bucket}/one", "a", "b", "c"), put(f"{bucket}/two", "d", "e")
    before = Cache(tmp_path / "cache", limit=4 * SIZE)
    here = bring(one, before)
    for key, seconds in (("a", 10), ("b", 30), ("c", 20)):
        used(here / key, seconds)
    before.close()
    running = Cache(tmp_path / "cache", limit=4 * SIZE)
    bring(one, running, "b")
    used(here / "b", 1000)  # whatever its time says, it is needed now
    bring(two, Cache(tmp_path / "cache", limit=4 * SIZE))
    assert sorted(path.name for path in here.iterdir()) == ["a", "b"]
    running.close()


def test_beginning_to_need_a_video_is_a_use_of_it(bucket: str, tmp_path: Path) -> None:
    one, two = put(f"{bucket}/one", "a", "b"), put(f"{bucket}/two", "c")
    for keys in (("a", "b"), ("a",)):
        cache = Cache(tmp_path / "cache", limit=2 * SIZE)
        here = bring(one, cache, *keys)
        cache.close()
        for key in keys[1:]:
            used(here / key, 5)
    used(here / "a", 3)
    cache = Cache(tmp_path / "cache", limit=2 * SIZE)
    bring(two, cache)
    assert [path.name for path in here.iterdir()] == ["a"]


def test_a_data_set_that_cannot_fit_is_refused_before_anything_is_fetched(bucket: str, tmp_path: Path) -> None:
    storage = put(f"{bucket}/set", "a", "b", "c")
    cache = Cache(tmp_path / "cache", limit=3 * SIZE - 1)
    with pytest.raises(DiskFailure) as refused:
        bring(storage, cache)
    assert str(refused.value) == (
        f"{tmp_path / 'cache'}: 0.3 MB of videos are needed at once, and its limit is 0.3 MB. "
        "Raise the limit: pods.cache.limit, or $TRAINJOB_CACHE_LIMIT; or train on fewer videos."
    )
    assert not home(storage, cache.root).exists()


def test_what_others_need_is_never_removed_and_they_are_named(bucket: str, tmp_path: Path) -> None:
    one, two = put(f"{bucket}/one", "a", "b"), put(f"{bucket}/two", "c", "d")
    running, late = (Cache(tmp_path / "cache", limit=3 * SIZE) for _ in range(2))
    here = bring(one, running)
    with pytest.raises(DiskFailure, match=r"needed here, 0\.2 MB more by other runs, and there is room for 0\.3 MB"):
        bring(two, late)
    assert len(list(here.iterdir())) == 2
    running.close()
    assert len(list(bring(two, late).iterdir())) == 2
    assert len(list(here.iterdir())) == 1, "as much as it takes, and no more"


def test_room_is_kept_for_what_others_have_not_fetched_yet(bucket: str, cache: Cache) -> None:
    one, two = put(f"{bucket}/one", "a", "b"), put(f"{bucket}/two", "c", "d")
    cache.limit = 3 * SIZE
    cache.need(home(one, cache.root), listed(one))
    with pytest.raises(DiskFailure, match="by other runs"):
        bring(two, Cache(cache.root, limit=3 * SIZE))


def attempt(environment: Mapping[str, str], uri: str, root: Path, limit: int, seed: int) -> None:
    """A process that fetches all of a data set, in an order of its own, and ends with what it holds."""
    os.environ.update(environment)
    storage, cache = open_storage(uri), Cache(root, limit)
    files = list(listed(storage).items())
    random.Random(seed).shuffle(files)
    here = home(storage, root)
    fetch(storage, dict(files), here, cache, lambda done, total, what: None)
    wrong = [key for key, file in files if not is_whole(here / key, file) or (here / key).read_bytes() != content(key)]
    os._exit(len(wrong))


def test_attempts_that_begin_at_once_fetch_each_video_once(bucket: str, s3: S3Server, tmp_path: Path) -> None:
    keys = [f"{number}.mp4" for number in range(30)]
    storage = put(f"{bucket}/set", *keys)
    fetched: list[str] = []

    def notes(request: Request, forward: Forward) -> Answer:
        if request.method == "GET" and request.path.endswith(".mp4"):
            fetched.append(request.path)
            time.sleep(0.05)
        return forward(request)

    with in_front_of(s3, notes) as server:
        words = (server.environment(), storage.uri, tmp_path / "cache", 40 * SIZE)
        processes = [SPAWN.Process(target=attempt, args=(*words, seed)) for seed in range(3)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(120)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(fetched) == len(set(fetched)) == len(keys)


def test_attempts_that_are_killed_at_random_moments_leave_nothing_half(
    bucket: str, s3: S3Server, tmp_path: Path
) -> None:
    """Three data sets that do not fit together; whoever is killed leaves what the next one removes."""
    sets = [put(f"{bucket}/{number}", *(f"{number}-{each}.mp4" for each in range(20))).uri for number in range(3)]
    root, limit, chance = tmp_path / "cache", 30 * SIZE, random.Random(8)

    def slow(request: Request, forward: Forward) -> Answer:
        time.sleep(0.02)
        return forward(request)

    with in_front_of(s3, slow) as server:

        def begin(uri: str) -> multiprocessing.process.BaseProcess:
            process = SPAWN.Process(target=attempt, args=(server.environment(), uri, root, limit, chance.random()))
            process.start()
            return process

        for turn in range(KILLS):
            process = begin(sets[turn % 3])
            while not list((root / ".needs").glob(f"*/{NEEDED}")) and process.is_alive():
                time.sleep(0.005)
            time.sleep(chance.uniform(0, 0.3))
            assert process.pid
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            for key in (path for path in root.rglob("*.mp4")):
                assert key.read_bytes() == content(key.name)
        last = begin(sets[0])
        last.join(120)
    assert last.exitcode == 0
    left = [path for path in root.rglob("*") if path.is_file() and path.suffix != ".mp4" and path.stat().st_size]
    assert [path.name for path in left] == [NEEDED], "of the last one alone, which did not close"
    assert sum(path.stat().st_size for path in root.rglob("*.mp4")) <= limit


def test_what_a_rank_still_holds_stays_needed_when_its_launcher_is_killed(cache: Cache, tmp_path: Path) -> None:
    cache.need(cache.root / "set", {"a": Stored("a", 1)})
    inherited = os.dup(*cache.descriptors)
    cache.list.close()  # type: ignore[union-attr]
    other = Cache(cache.root)
    assert other._needed_by_others() == {"set/a": 1}
    os.close(inherited)
    assert other._needed_by_others() == {}
    assert not cache.own.exists()
    cache.list = None


def test_a_client_of_another_kind_sees_no_difference(bucket: str, s3: S3Server, cache: Cache) -> None:
    """An object in parts has no MD5 for an ETag: its size and age have to do."""
    name = bucket.removeprefix("s3://")
    made = client(s3).create_multipart_upload(Bucket=name, Key="set/large.mp4")["UploadId"]
    part = client(s3).upload_part(
        Bucket=name, Key="set/large.mp4", UploadId=made, PartNumber=1, Body=content("large.mp4")
    )
    parts = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
    client(s3).complete_multipart_upload(Bucket=name, Key="set/large.mp4", UploadId=made, MultipartUpload=parts)  # type: ignore[arg-type]
    here = bring(open_storage(f"{bucket}/set"), cache)
    assert (here / "large.mp4").read_bytes() == content("large.mp4")
