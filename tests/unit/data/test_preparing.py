"""From a data set of real videos to what MMAction2 reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from mmaction_trainer.contract.errors import DataFailure
from mmaction_trainer.contract.run import CLASSES, LISTS, VIDEOS, DataSource
from mmaction_trainer.data import Cache, prepare

Build = Callable[[Mapping[str, str | bytes | Path]], Path]

CLIPS = Path(__file__).parents[2] / "data" / "clips"
MP4, AVI = CLIPS / "part_0.mp4", CLIPS / "test.avi"
SEVEN = ("Archery", "Biking", "Diving", "Fencing", "Kayaking", "Rowing", "TaiChi")
UCF101: Mapping[str, str | Path] = {
    "annotations/classInd.txt": "".join(f"{number} {name}\r\n" for number, name in enumerate(SEVEN, 1)),
    "annotations/trainlist01.txt": "".join(f"{name}/v_{name}_g08.avi {i}\r\n" for i, name in enumerate(SEVEN, 1)),
    "annotations/testlist01.txt": "".join(f"{name}/v_{name}_g01.avi\r\n" for name in SEVEN),
    **{f"videos/{name}/v_{name}_{group}.avi": AVI for name in SEVEN for group in ("g01", "g08")},
}
LIST: Mapping[str, str | Path] = {
    "train.txt": "a.mp4 0\nb.mp4 1\n",
    "val.txt": "c.mp4 1\n",
    "classes.txt": "run\nwalk\n",
    **{f"videos/{name}.mp4": MP4 for name in "abc"},
}


def quiet(done: int, total: int, what: str) -> None:
    pass


def lists(folder: Path, **names: str) -> DataSource:
    return DataSource(uri=str(folder), format="list", num_classes=2).model_copy(update=names)


def read(run_dir: Path, split: str) -> list[tuple[str, int]]:
    """A list as ``VideoDataset`` reads it: every line split at every space."""
    lines = (run_dir / LISTS[split]).read_text().split("\n")
    assert lines.pop() == ""
    pairs = [line.split(" ") for line in lines]
    return [(path, int(label)) for path, label in pairs]


def test_seven_classes_of_ucf101_become_lists_that_mmaction2_reads(build: Build, run_dir: Path, cache: Cache) -> None:
    source = DataSource(uri=str(build(UCF101)), format="ucf101", num_classes=7)
    prepared = prepare(source, run_dir, cache, quiet)
    assert prepared.counts == {"train": 7, "val": 7, "test": 7}
    assert prepared.classes == SEVEN
    assert read(run_dir, "train") == [(f"{name}/v_{name}_g08.avi", label) for label, name in enumerate(SEVEN)]
    assert read(run_dir, "val") == read(run_dir, "test")
    assert (run_dir / CLASSES).read_text().splitlines() == list(SEVEN)


def test_folders_become_lists_that_name_the_split(build: Build, run_dir: Path, cache: Cache) -> None:
    folder = build({"train/run/a.mp4": MP4, "train/walk/b.mp4": MP4, "val/walk/c.mp4": MP4})
    prepare(DataSource(uri=str(folder), format="folders", num_classes=2), run_dir, cache, quiet)
    assert read(run_dir, "train") == [("train/run/a.mp4", 0), ("train/walk/b.mp4", 1)]
    assert (run_dir / VIDEOS / "val/walk/c.mp4").read_bytes() == MP4.read_bytes()


def test_kinetics_csv_become_lists(build: Build, run_dir: Path, cache: Cache) -> None:
    header = "label,youtube_id,time_start,time_end,split\n"
    folder = build(
        {
            "train.csv": header + "sky diving,abc,0,10,train\nrun,def,5,15,train\n",
            "val.csv": header + "run,ghi,0,10,validate\n",
            "videos/sky diving/abc_000000_000010.mp4": MP4,
            "videos/run/def_000005_000015.mp4": MP4,
            "videos/run/ghi_000000_000010.mp4": MP4,
        }
    )
    prepare(DataSource(uri=str(folder), format="csv", num_classes=2), run_dir, cache, quiet)
    (diving, label), other = read(run_dir, "train")
    assert label == 1
    assert (run_dir / VIDEOS / diving).read_bytes() == MP4.read_bytes()
    assert other == ("run/def_000005_000015.mp4", 0)


def test_frames_pass_with_their_number(build: Build, run_dir: Path, cache: Cache) -> None:
    frames = {f"videos/{name}/img_0000{number}.jpg": b"jpeg" for name in ("a", "b c") for number in (1, 2)}
    folder = build({"train.txt": "a 2 0\n", "val.txt": "b c 2 1\n", **frames})
    prepare(lists(folder, media="frames"), run_dir, cache, quiet)
    assert (run_dir / LISTS["train"]).read_text() == "a 2 0\n"
    name, count, label = (run_dir / LISTS["val"]).read_text().split()
    assert (count, label) == ("2", "1")
    assert sorted(path.name for path in (run_dir / VIDEOS / name).iterdir()) == ["img_00001.jpg", "img_00002.jpg"]


@pytest.mark.parametrize("name", ["long walk.mp4", "walk", "no break.mp4", "a folder/a.mp4"])
def test_names_that_mmaction2_would_misread_get_others(build: Build, run_dir: Path, cache: Cache, name: str) -> None:
    folder = build(
        {"train.txt": f"{name},1\nb.mp4 0\n", "val.txt": "b.mp4 0\n", **{f"videos/{name}": AVI, "videos/b.mp4": MP4}}
    )
    prepare(lists(folder), run_dir, cache, quiet)
    (listed, label), _ = read(run_dir, "train")
    assert label == 1
    assert (run_dir / VIDEOS / listed).read_bytes() == AVI.read_bytes()
    assert sorted(path.name for path in folder.iterdir()) == ["train.txt", "val.txt", "videos"]


def test_a_name_without_extension_finds_its_mp4_as_in_mmaction2(build: Build, run_dir: Path, cache: Cache) -> None:
    prepare(lists(build({**LIST, "val.txt": "./c 1\n"})), run_dir, cache, quiet)
    assert read(run_dir, "val") == [("c.mp4", 1)]


def test_a_folder_is_used_in_place(build: Build, run_dir: Path, cache: Cache) -> None:
    folder = build(LIST)
    prepare(lists(folder), run_dir, cache, quiet)
    assert (run_dir / VIDEOS).readlink() == folder / "videos"
    assert not cache.root.exists()


def test_a_run_directory_can_be_prepared_again(build: Build, run_dir: Path, cache: Cache) -> None:
    prepare(lists(build(LIST)), run_dir, cache, quiet)
    prepare(lists(build({"val.txt": "b.mp4 1\n"})), run_dir, cache, quiet)
    assert read(run_dir, "val") == [("b.mp4", 1)]


def test_what_is_refused_leaves_no_lists(build: Build, run_dir: Path, cache: Cache) -> None:
    with pytest.raises(DataFailure):
        prepare(lists(build({**LIST, "videos/c.mp4": b"broken"})), run_dir, cache, quiet)
    assert not list(run_dir.rglob("*"))


def test_steps_are_told_as_they_come(build: Build, run_dir: Path, cache: Cache) -> None:
    told: list[tuple[int, int, str]] = []
    prepare(lists(build(LIST)), run_dir, cache, lambda *step: told.append(step))
    assert [what for _, _, what in told] == ["reading the lists", "decoding a few videos"]


class TestDigest:
    """The digest is the same where the same videos have the same labels in the same splits."""

    @pytest.fixture
    def digest(self, build: Build, run_dir: Path, cache: Cache) -> Callable[..., str]:
        def digest(**changes: str) -> str:
            files = {name.replace("_", "."): text for name, text in changes.items()}
            return prepare(lists(build({**LIST, **files})), run_dir, cache, quiet).digest

        return digest

    def test_order_and_delimiter_do_not_matter(self, digest: Callable[..., str]) -> None:
        assert digest() == digest(train_txt="b.mp4,1\n\na.mp4,0\n")

    @pytest.mark.parametrize(
        "changes",
        [
            {"train_txt": "a.mp4 1\nb.mp4 0\n"},
            {"train_txt": "a.mp4 0\n"},
            {"train_txt": "a.mp4 0\na.mp4 0\nb.mp4 1\n"},
            {"train_txt": "c.mp4 1\n", "val_txt": "a.mp4 0\nb.mp4 1\n"},
        ],
        ids=["another label", "one less", "one twice", "another split"],
    )
    def test_everything_else_does(self, digest: Callable[..., str], changes: Mapping[str, str]) -> None:
        assert digest() != digest(**changes)

    def test_the_number_of_frames_does(self, build: Build, run_dir: Path, cache: Cache) -> None:
        files = {f"videos/a/img_{number:05}.jpg": b"jpeg" for number in (1, 2)}
        source = lists(build({**files, "val.txt": "a 1 0\n"}), media="frames")
        digests = {
            prepare(source.model_copy(update={"uri": str(build({"train.txt": line}))}), run_dir, cache, quiet).digest
            for line in ("a 1 0\n", "a 2 0\n")
        }
        assert len(digests) == 2

    def test_it_is_the_same_on_every_machine(self, digest: Callable[..., str]) -> None:
        assert digest() == "e6cab7faf89105a9c7410c5637da22fbe938a5d3ea8563c5218ee15ff60f5575"


def test_mmaction2_itself_reads_the_lists_and_opens_the_videos(build: Build, run_dir: Path, cache: Cache) -> None:
    datasets = pytest.importorskip("mmaction.datasets")
    files: dict[str, str | bytes | Path] = {
        "train.txt": "a b.mp4,0\nwalk 1\n",
        "videos/a b.mp4": MP4,
        "videos/walk": AVI,
    }
    prepare(lists(build({**LIST, **files})), run_dir, cache, quiet)
    read = datasets.VideoDataset(
        ann_file=str(run_dir / LISTS["train"]),
        pipeline=[datasets.DecordInit()],
        data_prefix={"video": str(run_dir / VIDEOS)},
    )
    assert [(read[index]["label"], read[index]["total_frames"]) for index in range(len(read))] == [(0, 32), (1, 164)]
