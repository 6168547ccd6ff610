"""Class folders: what is a class, what is a video, and which split stands in for a missing one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import pytest

from mmaction_trainer.contract.errors import DataFailure
from mmaction_trainer.contract.run import DataSource
from mmaction_trainer.data.annotations import Annotations
from mmaction_trainer.data.folders import read_folders
from mmaction_trainer.data.holdings import Holdings

Build = Callable[[Mapping[str, str]], Holdings]
SOURCE = DataSource(uri="unused", format="folders", num_classes=2)


def read(holdings: Build, *files: str) -> Annotations:
    return read_folders(holdings(dict.fromkeys(files, "video")), SOURCE)


def refusal(holdings: Build, *files: str) -> DataFailure:
    with pytest.raises(DataFailure) as refused:
        read(holdings, *files)
    return refused.value


def paths(annotations: Annotations) -> dict[str, list[tuple[str, int]]]:
    return {split: [(sample.path, sample.label) for sample in samples] for split, samples in annotations.splits.items()}


def test_the_folders_of_train_are_the_classes_in_alphabetical_order(holdings: Build) -> None:
    annotations = read(holdings, "train/walk/b.mp4", "train/run/a.mp4", "val/walk/c.mp4", "test/run/d.mp4")
    assert annotations.classes == ("run", "walk")
    assert annotations.root == ""
    assert paths(annotations) == {
        "train": [("train/run/a.mp4", 0), ("train/walk/b.mp4", 1)],
        "val": [("val/walk/c.mp4", 1)],
        "test": [("test/run/d.mp4", 0)],
    }


@pytest.mark.parametrize("only", ["val", "test"])
def test_val_and_test_stand_in_for_each_other(holdings: Build, only: str) -> None:
    annotations = read(holdings, "train/run/a.mp4", f"{only}/run/b.mp4")
    assert annotations.val == annotations.test
    assert annotations.val[0].path == f"{only}/run/b.mp4"


@pytest.mark.parametrize(
    ("files", "where"),
    [
        (["val/run/a.mp4"], "train"),
        (["train/run/a.mp4"], "val"),
        (["training/run/a.mp4", "val/run/b.mp4"], "train"),
        (["train/run/notes.txt", "val/run/b.mp4"], "train"),
    ],
)
def test_a_split_without_videos_is_refused_with_what_is_there(
    holdings: Build, files: Iterable[str], where: str
) -> None:
    failure = refusal(holdings, *files)
    assert failure.where == where
    assert next(iter(files)).split("/")[0] + "/" in failure.found


def test_a_class_that_train_lacks_is_refused(holdings: Build) -> None:
    failure = refusal(holdings, "train/run/a.mp4", "val/walk/b.mp4")
    assert failure.where == "val/walk/b.mp4"
    assert "class 'walk' is unknown" in failure.found


def test_a_video_in_no_class_folder_is_refused(holdings: Build) -> None:
    failure = refusal(holdings, "train/run/a.mp4", "val/b.mp4")
    assert (failure.where, failure.accepted) == ("val/b.mp4", "val/<class>/<video>")


def test_folders_inside_a_class_folder_belong_to_the_class(holdings: Build) -> None:
    annotations = read(holdings, "train/run/day1/a.mp4", "val/run/a.mp4")
    assert paths(annotations)["train"] == [("train/run/day1/a.mp4", 0)]


@pytest.mark.parametrize("name", ["a.mp4", "a.AVI", "a b.webm", "a.b.mkv", "line\nbreak.mov", "line\nbreak/a.mov"])
def test_a_video_is_known_by_its_extension(holdings: Build, name: str) -> None:
    assert len(read(holdings, f"train/run/{name}", "val/run/a.mp4").train) == 1


def test_other_files_are_left_out_with_a_warning_and_hidden_ones_without(holdings: Build) -> None:
    videos = ("train/run/a.mp4", "val/run/b.mp4")
    assert read(holdings, *videos, "train/.DS_Store", "val/run/._b.mp4", "README.md").warnings == ()
    (warning,) = read(holdings, *videos, "train/run/a.srt", "val/run/b.json").warnings
    assert "2 files" in warning
    assert "train/run/a.srt" in warning
