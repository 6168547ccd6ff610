"""Data in S3: a real server, and videos that come here once."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from mmaction_trainer.contract.checklist import Checklist
from mmaction_trainer.contract.errors import DataFailure, DiskFailure
from mmaction_trainer.contract.run import LISTS, VIDEOS, DataSource
from mmaction_trainer.data import Cache, Delivery, Prepared, check, prepare
from mmaction_trainer.data.cache import NEEDED
from mmaction_trainer.storage import open_storage
from tests.cluster.s3 import S3Server

CLIP = Path(__file__).parents[2] / "data" / "clips" / "part_0.mp4"
FILES: Mapping[str, bytes] = {
    "train.txt": b"run/a.mp4 0\nlong walk/b 1.mp4 1\n",
    "val.txt": b"run/c.mp4 0\n",
    "videos/run/a.mp4": CLIP.read_bytes(),
    "videos/long walk/b 1.mp4": CLIP.read_bytes(),
    "videos/run/c.mp4": CLIP.read_bytes(),
    "videos/run/unlisted.mp4": b"not fetched",
    "rawframes/a/1.jpg": b"not fetched",
}


@pytest.fixture
def held(rclone: S3Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where the server keeps a new bucket, with the files above in it."""
    for name, value in rclone.environment().items():
        monkeypatch.setenv(name, value)
    bucket = f"data-{len(list(rclone.folder.iterdir()))}"
    rclone.bucket(bucket)
    put(rclone.folder / bucket, FILES)
    return rclone.folder / bucket


@pytest.fixture
def source(held: Path) -> DataSource:
    return DataSource(uri=f"s3://{held.name}/sets/mine", format="list", num_classes=2)


def put(bucket: Path, files: Mapping[str, bytes], prefix: str = "sets/mine") -> None:
    """Make objects, where the server keeps them: as fast as a test can."""
    for key, content in files.items():
        path = bucket / prefix / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def quiet(done: int, total: int, what: str) -> None:
    pass


def homes(cache: Cache) -> list[Path]:
    """The folders of data sets in the cache."""
    return [folder for folder in cache.root.iterdir() if not folder.name.startswith(".")]


def fetched(cache: Cache) -> dict[str, int]:
    """Every file in the cache and which one it is, by its path in the data set."""
    (home,) = homes(cache)
    return {str(path.relative_to(home)): path.stat().st_ino for path in home.rglob("*") if path.is_file()}


def bring(source: DataSource, run_dir: Path, cache: Cache) -> Prepared:
    """Prepare a training, and wait until all of its videos are here."""
    prepared = prepare(source, run_dir, cache, quiet)
    delivery = Delivery(prepared.awaited, cache, run_dir, patience=0)
    delivery.start()
    delivery.wait()
    delivery.check()
    return prepared


def test_only_listed_videos_are_fetched_and_training_finds_them(
    source: DataSource, run_dir: Path, cache: Cache
) -> None:
    bring(source, run_dir, cache)
    assert set(fetched(cache)) == {"videos/run/a.mp4", "videos/long walk/b 1.mp4", "videos/run/c.mp4"}
    for split in LISTS:
        for line in (run_dir / LISTS[split]).read_text().splitlines():
            assert (run_dir / VIDEOS / line.split(" ")[0]).read_bytes() == CLIP.read_bytes()


def test_what_is_here_is_not_fetched_again_and_what_changed_in_size_is(
    source: DataSource, run_dir: Path, cache: Cache
) -> None:
    bring(source, run_dir, cache)
    before = fetched(cache)
    changed = (CLIP.parent / "test.avi").read_bytes()
    open_storage(source.uri).write("videos/run/c.mp4", changed)
    bring(source, run_dir.with_name("another run"), cache)
    after = fetched(cache)
    assert {path for path in after if after[path] != before[path]} == {"videos/run/c.mp4"}
    assert (run_dir / VIDEOS).resolve().is_dir()
    (home,) = homes(cache)
    assert (home / "videos/run/c.mp4").read_bytes() == changed


def test_a_cut_file_in_the_cache_is_fetched_again(source: DataSource, run_dir: Path, cache: Cache) -> None:
    bring(source, run_dir, cache)
    (home,) = homes(cache)
    (home / "videos/run/a.mp4").write_bytes(b"cut")
    bring(source, run_dir, cache)
    assert (home / "videos/run/a.mp4").read_bytes() == CLIP.read_bytes()


def test_two_data_sets_share_no_file(held: Path, source: DataSource, run_dir: Path, cache: Cache) -> None:
    put(held, FILES, prefix="sets/other")
    bring(source, run_dir, cache)
    bring(source.model_copy(update={"uri": f"s3://{held.name}/sets/other"}), run_dir, cache)
    assert len(homes(cache)) == 2


def test_a_check_fetches_a_few_videos_of_many(held: Path, source: DataSource, cache: Cache) -> None:
    names = [f"many/{number:02}.mp4" for number in range(15)]
    put(held, {f"videos/{name}": CLIP.read_bytes() + bytes(number) for number, name in enumerate(names)})
    put(held, {"train.txt": "".join(f"{name} 1\n" for name in names).encode()})
    checklist = Checklist()
    check(source, cache, checklist, quiet)
    assert checklist.made["lists"].said.startswith("train 15, ")
    assert 2 < len([path for path in fetched(cache) if "many" in path]) < 10


def test_a_broken_video_is_found_before_the_rest_is_fetched(
    held: Path, source: DataSource, run_dir: Path, cache: Cache
) -> None:
    names = [f"many/{number:02}.mp4" for number in range(15)]
    put(held, {f"videos/{name}": CLIP.read_bytes() for name in names[1:]})
    put(held, {f"videos/{names[0]}": CLIP.read_bytes()[:80_000]})
    put(held, {"train.txt": "".join(f"{name} 1\n" for name in names).encode()})
    with pytest.raises(DataFailure, match=r"00\.mp4: does not decode"):
        prepare(source, run_dir, cache, quiet)
    assert len(fetched(cache)) < 10
    assert not run_dir.exists()


@pytest.mark.parametrize(
    ("files", "where"),
    [
        ({"train.txt": b"run/gone.mp4 0\n"}, "train.txt:1"),
        ({"val.txt": b"run/c.mp4 2\n"}, "val.txt:1"),
        ({"videos/run/c.mp4": b""}, "val.txt:1"),
    ],
    ids=["missing", "label", "empty"],
)
def test_nothing_is_fetched_for_lists_that_are_wrong(
    held: Path, source: DataSource, run_dir: Path, cache: Cache, files: Mapping[str, bytes], where: str
) -> None:
    put(held, files)
    with pytest.raises(DataFailure) as refused:
        prepare(source, run_dir, cache, quiet)
    assert refused.value.where == where
    assert not cache.root.exists()


def test_a_missing_list_is_refused_with_what_the_bucket_holds(source: DataSource, cache: Cache) -> None:
    checklist = Checklist()
    check(source.model_copy(update={"train": "lists/train.txt"}), cache, checklist, quiet)
    with pytest.raises(DataFailure) as refused:
        checklist.refuse()
    assert refused.value.where == "lists/train.txt"
    assert f"{source.uri}/ holds rawframes/, train.txt, val.txt, videos/" in refused.value.found


def test_files_are_counted_as_they_come(source: DataSource, run_dir: Path, cache: Cache) -> None:
    told: list[tuple[int, int, str]] = []
    prepare(source, run_dir, cache, lambda *step: told.append(step))
    assert [step[:2] for step in told if step[2] == "fetching videos"] == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_videos_that_do_not_fit_are_not_begun(
    source: DataSource, run_dir: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(DiskFailure) as refused:
        prepare(source, run_dir, cache, quiet)
    assert refused.value.found == (
        "0.5 MB of videos are needed here, 0.0 MB more by other runs, and there is room for 0.0 MB"
    )
    assert not homes(cache)
    assert not run_dir.exists()


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """A disk that is full after ``size`` bytes of a file, as far as this process can tell."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_up_on_the_way_leaves_nothing_half_written(
    source: DataSource, run_dir: Path, cache: Cache
) -> None:
    with files_up_to(100_000), pytest.raises(DiskFailure):
        prepare(source, run_dir, cache, quiet)
    assert not homes(cache)
    assert [path.name for path in cache.own.iterdir()] == [NEEDED]
    assert not run_dir.exists()
