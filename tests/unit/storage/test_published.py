"""A job's results as a whole: published, verified, fetched and found again."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from pydantic import JsonValue

from mmaction_trainer.contract.errors import ConfigFailure, StorageFailure
from mmaction_trainer.contract.run import JobIdentity
from mmaction_trainer.storage import (
    ObjectMissing,
    Problem,
    Storage,
    fetch,
    open_storage,
    publish,
    read_manifest,
    results,
    verify,
)

FILES = {
    "config.py": b"model = dict()\n",
    "checkpoints/best.pth": os.urandom(300_000),
    "test/predictions.pkl": b"",
    "logs/node 0.txt": b"epoch 1\n",
}
SUMMARY: dict[str, JsonValue] = {
    "outcome": "Succeeded",
    "test": {"top1": 0.9, "top5": None, "protocol": {"clips": 10, "crops": 3}},
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """What a job left on its disk."""
    for path, content in FILES.items():
        file = tmp_path / "run" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return tmp_path / "run"


def changed(content: bytes) -> bytes:
    """The same content with its middle byte changed."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def test_the_manifest_says_what_storage_holds_and_its_digest_is_returned(
    storage: Storage, run: Path, job: JobIdentity
) -> None:
    counted: list[int] = []
    digest = publish(storage, run, [*FILES, "config.py"], job, SUMMARY, counted.append)
    content = storage.read("manifest.json")
    assert hashlib.sha256(content).hexdigest() == digest
    written = json.loads(content)
    assert written["job"] == {"namespace": "default", "name": "slowfast", "uid": "0a1b", "attempt": 2}
    assert written["summary"] == SUMMARY
    assert written["objects"] == [
        {"path": path, "size": len(FILES[path]), "sha256": hashlib.sha256(FILES[path]).hexdigest()}
        for path in sorted(FILES)
    ]
    assert sum(counted) == sum(map(len, FILES.values()))
    assert read_manifest(storage).summary == SUMMARY
    assert verify(storage) == []


def test_each_way_in_which_storage_can_differ_is_told(storage: Storage, run: Path, job: JobIdentity) -> None:
    publish(storage, run, FILES, job, SUMMARY)
    best = FILES["checkpoints/best.pth"]
    storage.write("checkpoints/best.pth", changed(best))
    storage.write("config.py", b"longer than before\n")
    storage.delete("logs/node 0.txt")
    assert verify(storage) == [
        Problem(
            "checkpoints/best.pth",
            "sha256",
            hashlib.sha256(changed(best)).hexdigest(),
            hashlib.sha256(best).hexdigest(),
        ),
        Problem("config.py", "size", "19", "15"),
        Problem("logs/node 0.txt", "missing", "nothing", "8 bytes"),
    ]


def test_fetched_results_are_what_was_published(storage: Storage, run: Path, job: JobIdentity, tmp_path: Path) -> None:
    publish(storage, run, FILES, job, SUMMARY)
    manifest = fetch(storage, tmp_path / "out" / "job")
    assert manifest == read_manifest(storage)
    arrived = {
        path.relative_to(tmp_path / "out" / "job").as_posix(): path.read_bytes()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert arrived == {**FILES, "manifest.json": storage.read("manifest.json")}
    assert verify(open_storage(str(tmp_path / "out" / "job"))) == [], "a fetched copy verifies without the original"


def test_one_changed_byte_stops_a_fetch_and_leaves_nothing(
    storage: Storage, run: Path, job: JobIdentity, tmp_path: Path
) -> None:
    publish(storage, run, FILES, job, SUMMARY)
    storage.write("checkpoints/best.pth", changed(FILES["checkpoints/best.pth"]))
    with pytest.raises(StorageFailure, match=r"checkpoints/best\.pth has sha256 .*, not ") as caught:
        fetch(storage, tmp_path / "job")
    assert caught.value.where == storage.uri
    assert not (tmp_path / "job").exists()
    fetch(storage, tmp_path / "job", verify=False)
    assert (tmp_path / "job" / "checkpoints" / "best.pth").exists(), "unless the user wants it all the same"


def test_a_missing_object_stops_a_fetch_and_keeps_what_was_there(
    storage: Storage, run: Path, job: JobIdentity, tmp_path: Path
) -> None:
    publish(storage, run, FILES, job, SUMMARY)
    storage.delete("config.py")
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "config.py").write_bytes(b"mine")
    with pytest.raises(StorageFailure, match=r"config\.py is missing"):
        fetch(storage, tmp_path / "job", verify=False)
    assert [path.name for path in (tmp_path / "job").iterdir()] == ["config.py"]
    assert (tmp_path / "job" / "config.py").read_bytes() == b"mine"


def test_a_fetch_that_cannot_finish_leaves_no_manifest_over_a_mixture(
    run: Path, job: JobIdentity, tmp_path: Path
) -> None:
    storage = open_storage(str(tmp_path / "storage"))
    publish(storage, run, FILES, job, SUMMARY)
    fetch(storage, tmp_path / "job")
    (tmp_path / "job" / "config.py").unlink()
    (tmp_path / "job" / "config.py" / "in the way").mkdir(parents=True)
    with pytest.raises(StorageFailure):
        fetch(storage, tmp_path / "job")
    assert not (tmp_path / "job" / "manifest.json").exists()


def test_without_a_manifest_there_is_nothing_to_verify_or_fetch(storage: Storage, tmp_path: Path) -> None:
    storage.write("config.py", b"1")
    for ask in (read_manifest, verify, lambda storage: fetch(storage, tmp_path / "job")):
        with pytest.raises(ObjectMissing, match=r"manifest\.json"):
            ask(storage)
    assert not (tmp_path / "job").exists()


@pytest.mark.parametrize("path", ["../../escaped", "/tmp/escaped", "a//b"])
def test_a_manifest_that_names_files_elsewhere_is_refused(
    storage: Storage, run: Path, job: JobIdentity, tmp_path: Path, path: str
) -> None:
    publish(storage, run, FILES, job, SUMMARY)
    forged = storage.read("manifest.json").replace(b'"config.py"', json.dumps(path).encode())
    storage.write("manifest.json", forged)
    with pytest.raises(StorageFailure, match="not a manifest"):
        fetch(storage, tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()


def test_a_file_that_is_not_there_leaves_an_earlier_publication_alone(
    storage: Storage, run: Path, job: JobIdentity
) -> None:
    digest = publish(storage, run, FILES, job, SUMMARY)
    with pytest.raises(StorageFailure, match=r"report/index\.html: no such file"):
        publish(storage, run, [*FILES, "report/index.html"], job, SUMMARY)
    with pytest.raises(ConfigFailure, match=r"leaves the storage"):
        publish(storage, run, ["../run/config.py"], job, SUMMARY)
    assert hashlib.sha256(storage.read("manifest.json")).hexdigest() == digest


def test_a_publication_that_is_killed_midway_leaves_no_manifest_not_even_the_one_before(
    storage: Storage, tmp_path: Path, job: JobIdentity
) -> None:
    paths = [f"{number}.bin" for number in range(60)]
    for path in paths:
        (tmp_path / path).write_bytes(os.urandom(20_000))
    results_of_job = storage.child("default/slowfast/0a1b")
    publish(results_of_job, tmp_path, paths, job, {})
    for path in paths:
        (tmp_path / path).write_bytes(os.urandom(20_000))
    program = f"""
        import sys, time
        from pathlib import Path
        from mmaction_trainer.contract.run import JobIdentity
        from mmaction_trainer.storage import open_storage, publish
        calls = 0
        def hang(count):
            global calls
            calls += 1
            if calls == 20:
                print("midway", flush=True)
                time.sleep(600)
        job = JobIdentity(namespace="default", name="slowfast", uid="0a1b")
        publish(open_storage({results_of_job.uri!r}), Path({str(tmp_path)!r}), {paths!r}, job, {{}}, hang)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"midway\n"
        process.send_signal(signal.SIGKILL)
    with pytest.raises(ObjectMissing):
        read_manifest(results_of_job)
    assert {stored.key for stored in results_of_job.list()} <= set(paths), "nor anything half-written"
    (found,) = results(storage)
    assert (found.complete, found.manifest) == (False, None)
    publish(results_of_job, tmp_path, paths, job, {})
    assert verify(results_of_job) == []


def test_results_below_a_root_are_found_whole_or_not(storage: Storage, run: Path, job: JobIdentity) -> None:
    publish(storage.child("default/slowfast/0a1b"), run, FILES, job, SUMMARY)
    publish(storage.child("default/slowfast/2c3d"), run, FILES, job, {})
    storage.delete("default/slowfast/2c3d/config.py")
    storage.write("other/tsn/4e5f/checkpoints/epoch_1.pth", b"1")
    storage.write("other/tsn/6a7b/manifest.json", b"{}")
    storage.write("other/README.md", b"no results")
    found = {one.prefix: one for one in results(storage)}
    assert sorted(found) == ["default/slowfast/0a1b", "default/slowfast/2c3d", "other/tsn/4e5f", "other/tsn/6a7b"]
    whole = found["default/slowfast/0a1b"]
    assert whole.complete
    assert whole.manifest == read_manifest(whole.storage)
    assert whole.storage.read("config.py") == FILES["config.py"]
    assert [found[prefix].fault.split(":")[0] for prefix in sorted(found)[1:]] == [
        "config.py is missing",
        "no manifest.json",
        "not a manifest",
    ]
    assert not any(found[prefix].complete for prefix in sorted(found)[1:])


def test_there_are_no_results_where_nothing_is(storage: Storage) -> None:
    assert list(results(storage)) == []
