"""What every kind of storage keeps to; each test runs on a folder and on real S3 servers."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mmaction_trainer.contract.errors import StorageFailure
from mmaction_trainer.storage import ObjectMissing, Storage, Stored, download_many, open_storage
from mmaction_trainer.storage.disk import is_unfinished
from mmaction_trainer.storage.folder import Folder
from mmaction_trainer.storage.s3_checksums import PART
from mmaction_trainer.storage.s3_client import connect


def test_an_object_reads_back_as_it_was_written(storage: Storage) -> None:
    storage.write("config.py", b"x = 1\n")
    storage.write("config.py", b"x = 2\n")
    assert storage.read("config.py") == b"x = 2\n"
    assert storage.stat("config.py") == Stored("config.py", 6)
    assert storage.digest("config.py") == Stored("config.py", 6, hashlib.sha256(b"x = 2\n").hexdigest())


def test_names_with_any_letters_come_back_from_a_listing(storage: Storage) -> None:
    names = {"a b/c+d=e&f.txt", "ü/日本.mp4", "%20/%2e%2e/x", "v_#?.avi", "deep/er/and/deeper"}
    for name in names:
        storage.write(name, name.encode())
    assert {stored.key for stored in storage.list()} == names
    assert all(storage.read(name) == name.encode() for name in names)


def test_a_listing_goes_by_folders_not_by_leading_letters(storage: Storage) -> None:
    for key in ("a/1", "a/b/2", "ab/3", "a.txt"):
        storage.write(key, key.encode())
    assert sorted(stored.key for stored in storage.list()) == ["a.txt", "a/1", "a/b/2", "ab/3"]
    assert sorted(storage.list("a"), key=lambda stored: stored.key) == [Stored("a/1", 3), Stored("a/b/2", 5)]
    assert list(storage.list("nothing")) == []
    assert list(storage.list("a.txt")) == []


def test_a_child_sees_its_own_folder_alone(storage: Storage) -> None:
    child = storage.child("team/job")
    child.write("x", b"1")
    storage.write("team/job-2", b"2")
    assert list(child.list()) == [Stored("x", 1)]
    assert storage.read("team/job/x") == b"1"
    assert open_storage(child.uri).read("x") == b"1"


def test_what_is_absent_is_told_from_what_is_refused(storage: Storage, tmp_path: Path) -> None:
    storage.write("folder/x", b"1")
    for key in ("nothing", "folder", "folder/x/below a file"):
        assert storage.stat(key) is None
        for ask in (storage.read, storage.digest, lambda key: storage.download(key, tmp_path / "in" / "copy")):
            with pytest.raises(ObjectMissing) as caught:
                ask(key)
            assert caught.value.where == f"{storage.uri}/{key}"
    assert not (tmp_path / "in").exists()


def test_deleting_twice_is_no_failure(storage: Storage) -> None:
    storage.write("x", b"1")
    storage.delete("x")
    storage.delete("x")
    assert storage.stat("x") is None


def test_a_name_that_leaves_the_storage_is_refused_by_every_operation(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    operations: list[Callable[[str], object]] = [
        storage.stat,
        storage.read,
        storage.digest,
        storage.delete,
        storage.child,
        lambda key: storage.write(key, b"1"),
        lambda key: storage.upload(tmp_path / "file", key),
        lambda key: storage.download(key, tmp_path / "copy"),
        lambda key: list(storage.list(key or "/")),
    ]
    for key in ("../x", "a/../../x", "/etc/passwd", "a//b", "./a", "", "a/", "a\0b", "\ud800"):
        for ask in operations:
            with pytest.raises(StorageFailure, match="object name"):
                ask(key)


def test_an_upload_tells_what_storage_then_holds(storage: Storage, tmp_path: Path) -> None:
    content = os.urandom(3_000_001)
    (tmp_path / "best.pth").write_bytes(content)
    seen: list[int] = []
    held = storage.upload(tmp_path / "best.pth", "checkpoints/best.pth", seen.append)
    assert held == Stored("checkpoints/best.pth", 3_000_001, hashlib.sha256(content).hexdigest())
    assert sum(seen) == 3_000_001
    assert storage.read("checkpoints/best.pth") == content


def test_a_download_makes_its_folders_and_counts_its_bytes(storage: Storage, tmp_path: Path) -> None:
    content = os.urandom(3_000_001)
    storage.write("v.mp4", content)
    seen: list[int] = []
    assert storage.download("v.mp4", tmp_path / "a" / "b" / "v.mp4", seen.append) == Stored("v.mp4", 3_000_001)
    assert (tmp_path / "a" / "b" / "v.mp4").read_bytes() == content
    assert sum(seen) == 3_000_001


def test_a_copy_is_as_old_as_its_object_as_every_word_of_storage_says(storage: Storage, tmp_path: Path) -> None:
    before = int(time.time())
    storage.write("v.mp4", b"video")
    (listed,), asked = list(storage.list()), storage.stat("v.mp4")
    held = storage.download("v.mp4", tmp_path / "v.mp4")
    assert asked
    assert listed.modified
    assert listed.modified == asked.modified == held.modified == int((tmp_path / "v.mp4").stat().st_mtime)
    assert before <= listed.modified <= time.time()


def test_an_empty_file_goes_there_and_back(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert storage.upload(tmp_path / "empty", "empty").size == 0
    assert storage.download("empty", tmp_path / "copy").size == 0
    assert (tmp_path / "copy").read_bytes() == b""


def test_a_local_file_that_is_not_there_is_named(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(StorageFailure, match=r"none\.pth: no such file") as caught:
        storage.upload(tmp_path / "none.pth", "none.pth")
    assert not isinstance(caught.value, ObjectMissing)
    assert storage.stat("none.pth") is None


class Stop(Exception):
    pass


@pytest.mark.parametrize("size", [2_000_000, 40_000_000])
def test_a_listener_that_raises_ends_a_download_and_no_file_appears(
    storage: Storage, tmp_path: Path, size: int
) -> None:
    storage.write("v.mp4", bytes(size))

    def stop(count: int) -> None:
        raise Stop

    with pytest.raises(Stop):
        storage.download("v.mp4", tmp_path / "in" / "v.mp4", stop)
    assert list((tmp_path / "in").iterdir()) == []


def test_a_listener_that_raises_ends_a_large_upload_and_no_object_appears(storage: Storage, tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(200 << 20)
    seen: list[int] = []

    def stop(count: int) -> None:
        seen.append(count)
        raise Stop

    with pytest.raises(Stop):
        storage.upload(tmp_path / "large", "large", stop)
    assert len(seen) == 1, "it is told no more once it has raised"
    assert list(storage.list()) == []


def test_five_hundred_objects_arrive_over_many_threads(storage: Storage, tmp_path: Path) -> None:
    sent = {f"videos/{number % 7}/{number}.avi": f"video {number}".encode() for number in range(500)}
    for key, content in sent.items():
        storage.write(key, content)
    done: list[str] = []
    threads: set[str] = set()
    count = download_many(
        storage,
        ((stored.key, tmp_path / "in" / stored.key) for stored in storage.list()),
        lambda stored: done.append(stored.key),
        on_bytes=lambda _: threads.add(threading.current_thread().name),
    )
    assert count == 500
    assert sorted(done) == sorted(sent)
    assert {key: (tmp_path / "in" / key).read_bytes() for key in sent} == sent
    assert len(threads) > 4


def test_many_downloads_end_at_the_first_that_is_absent(storage: Storage, tmp_path: Path) -> None:
    for number in range(40):
        storage.write(f"{number}", b"x" * 100)
    keys = [*map(str, range(20)), "absent", *map(str, range(20, 40))] * 20
    with pytest.raises(ObjectMissing, match="absent"):
        download_many(storage, ((key, tmp_path / "in" / f"{at}-{key}") for at, key in enumerate(keys)), workers=4)
    assert len(list((tmp_path / "in").iterdir())) < 60, "it did not go on to the end of 820"
    assert not [path for path in (tmp_path / "in").iterdir() if path.name.startswith(".")]


def test_what_a_killed_upload_left_goes_and_objects_stay(storage: Storage, tmp_path: Path) -> None:
    storage.write("config.py", b"x = 1\n")
    half_sent(storage.child("resume/1"), tmp_path / "epoch_1.pth")
    assert unfinished(storage) == 1
    storage.child("resume/2").clear_unfinished()
    assert unfinished(storage) == 1
    storage.clear_unfinished()
    assert unfinished(storage) == 0
    assert storage.read("config.py") == b"x = 1\n"


def half_sent(storage: Storage, path: Path) -> None:
    """Kill a process in the middle of an upload in parts."""
    path.write_bytes(bytes(3 * PART))
    code = (
        "import os, sys; from pathlib import Path; from mmaction_trainer.storage import open_storage\n"
        "class Sent:\n"
        "    total = 0\n"
        "    def __call__(self, count):\n"
        "        self.total += count\n"
        f"        if self.total > {PART}: os._exit(9)\n"
        "open_storage(sys.argv[1]).upload(Path(sys.argv[2]), 'epoch_1.pth', Sent())\n"
    )
    assert subprocess.run([sys.executable, "-c", code, storage.uri, str(path)], check=False).returncode == 9


def unfinished(storage: Storage) -> int:
    """How many uploads are half done, below a storage."""
    if isinstance(storage, Folder):
        return sum(is_unfinished(path.name) for path in storage.root.rglob("*"))
    bucket, _, prefix = storage.uri.removeprefix("s3://").partition("/")
    return len(connect().list_multipart_uploads(Bucket=bucket, Prefix=prefix).get("Uploads", []))
