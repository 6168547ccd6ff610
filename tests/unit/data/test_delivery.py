"""Videos that come while ranks train: in the order in which these read them, and a failure is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from mmaction_trainer.contract.arriving import ARRIVING, WANTED, Arriving, Split, Wanted
from mmaction_trainer.contract.errors import DataFailure, Failure, Interrupted, StorageFailure
from mmaction_trainer.contract.run import STOP, DataSource
from mmaction_trainer.data import Cache, Delivery, prepare
from mmaction_trainer.data.cache import is_whole
from mmaction_trainer.data.delivery import AT_ONCE
from mmaction_trainer.runtime import arriving
from mmaction_trainer.runtime.video import DecordInit
from mmaction_trainer.storage import open_storage
from tests.clips import a_clip
from tests.cluster.s3 import S3Server
from tests.cluster.s3_faults import Answer, Forward, Request, in_front_of, refusal

TRAIN, VAL = [f"train-{number:02}" for number in range(50)], [f"val-{number}" for number in range(6)]


class Way:
    """The way to storage, as a test has it: what was asked for on it, in order, and whether it is open."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.open = threading.Semaphore(0)
        self.away = False
        self.missing: set[str] = set()

    def __call__(self, request: Request, forward: Forward) -> Answer:
        name = Path(request.path).stem
        if request.method != "GET" or not request.path.endswith(".mp4"):
            return forward(request)
        if self.away:
            return refusal(503, "SlowDown")
        self.asked.append(name)
        self.open.acquire()
        return refusal(404, "NoSuchKey") if name in self.missing else forward(request)

    def let(self, videos: int = 1000) -> None:
        """Let so many videos through."""
        self.open.release(videos)


@pytest.fixture
def way(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Way]:
    way = Way()
    with in_front_of(s3, way) as server:
        for name, value in (server.environment() | {"AWS_MAX_ATTEMPTS": "1"}).items():
            monkeypatch.setenv(name, value)
        yield way
        way.let()


@pytest.fixture(scope="module")
def source(s3: S3Server) -> DataSource:
    """A data set of clips in a bucket of its own."""
    uri = f"{s3.bucket('delivery')}/set"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3.environment().items():
            patch.setenv(name, value)
        storage = open_storage(uri)
        for name in (*TRAIN, *VAL):
            storage.write(f"videos/{name}.mp4", a_clip(name))
        for split, names in (("train", TRAIN), ("val", VAL)):
            storage.write(f"{split}.txt", "".join(f"{name}.mp4 {at % 2}\n" for at, name in enumerate(names)).encode())
    return DataSource(uri=uri, format="list", num_classes=2)


Deliver = Callable[..., Delivery]


@pytest.fixture
def deliver(source: DataSource, way: Way, run_dir: Path, cache: Cache) -> Iterator[Deliver]:
    """Begins a delivery after ranks have said what they want; nothing that was fetched before counts as asked for."""
    made: list[Delivery] = []

    def deliver(wanted: Mapping[int, Wanted] | None = None, *, skips: bool = False, patience: float = 60) -> Delivery:
        way.let(20)
        prepared = prepare(source, run_dir, cache, lambda done, total, what: None)
        while way.open.acquire(blocking=False):
            pass
        way.asked.clear()
        for rank, each in (wanted or {}).items():
            say(run_dir, rank, each)
        delivery = Delivery(prepared.awaited, cache, run_dir, skips=skips, patience=patience)
        made.append(delivery)
        delivery.start()
        return delivery

    yield deliver
    way.let()
    for each in made:
        each.end()


@pytest.fixture
def in_run_dir(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is a rank, whose working directory is the run's."""
    run_dir.mkdir(exist_ok=True)
    monkeypatch.chdir(run_dir)


def say(run_dir: Path, rank: int, wanted: Wanted) -> None:
    (run_dir / WANTED).mkdir(parents=True, exist_ok=True)
    wanted.write(run_dir / WANTED / f"rank-{rank}.json")


def want(split: Split, *places: int) -> Wanted:
    return Wanted(split=split, places=places)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def path_of(run_dir: Path, name: str) -> Path:
    return run_dir / "data/videos" / f"{name}.mp4"


def test_few_videos_are_here_when_a_training_may_start(deliver: Deliver, run_dir: Path, source: DataSource) -> None:
    delivery = deliver()
    here = [name for name in (*TRAIN, *VAL) if path_of(run_dir, name).exists()]
    assert 0 < len(here) < 15
    assert Arriving.read(run_dir / ARRIVING) == Arriving(here=len(here), videos=56)
    assert len((run_dir / "data/train.txt").read_text().splitlines()) == len(TRAIN)
    assert set(delivery.awaited.files) == {f"videos/{name}.mp4" for name in (*TRAIN, *VAL)} - {
        f"videos/{name}.mp4" for name in here
    }


def test_all_come_and_nobody_waits_any_more(
    deliver: Deliver, way: Way, run_dir: Path, source: DataSource, in_run_dir: None
) -> None:
    delivery = deliver()
    assert arriving.fetched()
    way.let()
    delivery.wait()
    delivery.check()
    assert not arriving.fetched()
    assert Arriving.read(run_dir / ARRIVING) == Arriving(here=56, videos=56)
    assert all(path_of(run_dir, name).read_bytes() == a_clip(name) for name in (*TRAIN, *VAL))


def test_they_come_in_the_order_in_which_the_ranks_read_them(deliver: Deliver, way: Way) -> None:
    """Two ranks step together, and each reads what the other does not."""
    even, odd = range(48, -1, -2), range(49, 0, -2)
    delivery = deliver({0: want("train", *even), 1: want("train", *odd)})
    order = [TRAIN[place] for pair in zip(even, odd, strict=True) for place in pair] + VAL
    expected = [name for name in order if f"videos/{name}.mp4" in delivery.awaited.files]
    until(lambda: len(way.asked) == AT_ONCE)
    assert set(way.asked) == set(expected[:AT_ONCE]), "all at a time"
    for done in range(1, len(expected) - AT_ONCE):
        way.let(1)
        until(lambda done=done: len(way.asked) == AT_ONCE + done)  # type: ignore[misc]
    assert way.asked[AT_ONCE:] == expected[AT_ONCE:-1]


def test_what_is_asked_for_later_comes_before_what_was_never_asked_for(
    deliver: Deliver, way: Way, run_dir: Path
) -> None:
    deliver()
    until(lambda: len(way.asked) == AT_ONCE)
    assert not set(way.asked) & set(VAL), "training first, as nothing else is known"
    say(run_dir, 0, want("val", 4))
    time.sleep(0.3)
    way.let(1)
    until(lambda: len(way.asked) == AT_ONCE + 1)
    assert way.asked[-1] == VAL[4]


def test_a_reader_waits_for_its_video_and_no_longer(
    deliver: Deliver, way: Way, run_dir: Path, source: DataSource, in_run_dir: None
) -> None:
    deliver()
    video = path_of(run_dir, VAL[4])
    assert not video.exists()
    threading.Timer(0.5, way.let).start()
    began = time.monotonic()
    arriving.wait_for(video)
    assert video.read_bytes() == a_clip(VAL[4])
    assert 0.4 < time.monotonic() - began < 10


def test_storage_that_is_away_for_a_while_only_costs_time(
    deliver: Deliver, way: Way, run_dir: Path, source: DataSource, capfd: pytest.CaptureFixture[str]
) -> None:
    way.let()
    delivery = deliver()
    way.away = True
    way.let()
    time.sleep(1)
    assert not delivery.failure
    way.away = False
    delivery.wait()
    delivery.check()
    assert Arriving.read(run_dir / ARRIVING).here == 56
    warned = [line for line in capfd.readouterr().out.splitlines() if "a video does not come yet" in line]
    assert len(warned) <= 1, "once in a while"


def test_storage_that_stays_away_ends_the_waiting_with_its_own_words(
    deliver: Deliver, way: Way, run_dir: Path, source: DataSource, in_run_dir: None
) -> None:
    way.away = False
    delivery = deliver(patience=0.5)
    way.away = True
    way.let()
    late = next(iter(delivery.awaited.files.values()))
    with pytest.raises(StorageFailure, match="SlowDown"):
        arriving.wait_for(delivery.awaited.here / late.key)
    with pytest.raises(StorageFailure, match="SlowDown"):
        delivery.check()


def test_a_video_that_vanishes_from_storage_is_named(
    deliver: Deliver, way: Way, run_dir: Path, source: DataSource, in_run_dir: None
) -> None:
    way.missing = {TRAIN[7]}
    delivery = deliver()
    way.let()
    with pytest.raises(DataFailure) as told:
        arriving.wait_for(path_of(run_dir, TRAIN[7]))
    assert str(told.value) == (
        f"{source.uri}/videos/{TRAIN[7]}.mp4: has vanished: it was there when the attempt began. "
        "Take it off the lists, or put it back."
    )
    with pytest.raises(DataFailure, match="has vanished"):
        delivery.check()


@pytest.mark.parametrize(("name", "skips"), [(TRAIN[7], True), (VAL[4], False)], ids=["of training", "of validation"])
def test_one_that_vanishes_is_found_corrupt_where_a_training_may_skip_it(
    deliver: Deliver, way: Way, run_dir: Path, in_run_dir: None, name: str, skips: bool
) -> None:
    way.missing = {name}
    delivery = deliver(skips=True)
    way.let()
    delivery.wait()
    if not skips:
        with pytest.raises(DataFailure, match="has vanished"):
            delivery.check()
        return
    delivery.check()
    video = path_of(run_dir, name)
    with pytest.raises(DataFailure, match="does not decode: it is empty: it has vanished from storage"):
        DecordInit().transform({"filename": str(video)})
    (file,) = (file for file in delivery.awaited.files.values() if file.key.endswith(f"{name}.mp4"))
    assert not is_whole(delivery.awaited.here / file.key, file), "the next attempt asks for it again"


def test_a_rank_whose_launcher_is_gone_does_not_wait_for_ever(
    deliver: Deliver, run_dir: Path, source: DataSource, in_run_dir: None
) -> None:
    delivery = deliver()
    delivery.lock.close()  # as the kernel does
    arriving.wait_for(path_of(run_dir, VAL[4]))  # and decord says that it is missing


def test_a_reader_that_waits_ends_soon_after_a_stop(
    deliver: Deliver, run_dir: Path, source: DataSource, in_run_dir: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arriving, "SECONDS_AFTER_STOP", 0.3)
    deliver()
    (run_dir / STOP).touch()
    with pytest.raises(Interrupted, match=r"stopped as asked while it waited for .*val-4\.mp4"):
        arriving.wait_for(path_of(run_dir, VAL[4]))


def test_a_delivery_that_is_ended_stops_what_is_under_way(deliver: Deliver, way: Way, run_dir: Path) -> None:
    delivery = deliver()
    until(lambda: len(way.asked) == AT_ONCE)
    threading.Timer(0.2, way.let).start()
    delivery.end()
    delivery.check()
    assert Arriving.read(run_dir / ARRIVING).here < 56


def test_a_folder_has_nothing_to_wait_for(tmp_path: Path, run_dir: Path, cache: Cache, in_run_dir: None) -> None:
    folder = tmp_path / "set"
    for name in ("a", "b"):
        (folder / "videos").mkdir(parents=True, exist_ok=True)
        (folder / f"videos/{name}.mp4").write_bytes(a_clip(name))
        (folder / f"{'train' if name == 'a' else 'val'}.txt").write_text(f"{name}.mp4 0\n")
    source = DataSource(uri=str(folder), format="list", num_classes=1)
    prepared = prepare(source, run_dir, cache, lambda done, total, what: None)
    delivery = Delivery(prepared.awaited, cache, run_dir)
    delivery.start()
    assert not arriving.fetched()
    arriving.want(0, "train", [0])
    assert not (run_dir / WANTED).exists()
    delivery.end()


def test_failures_are_of_the_products_own(deliver: Deliver, cache: Cache, way: Way) -> None:
    """Whatever goes wrong in the thread ends the attempt, and is told."""
    delivery = deliver()
    cache.bring = lambda *_: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    way.let()
    delivery.wait()
    with pytest.raises(Failure, match="ZeroDivisionError"):
        delivery.check()
