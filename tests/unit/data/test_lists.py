"""Lists of `<path> <label>`: what is a line, what is not, and which lists are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import pytest

from mmaction_trainer.contract.errors import DataFailure
from mmaction_trainer.contract.run import DataSource
from mmaction_trainer.data.annotations import Annotations
from mmaction_trainer.data.holdings import Holdings
from mmaction_trainer.data.lists import read_lists

Build = Callable[[Mapping[str, str | bytes]], Holdings]


def source(*, media: Literal["videos", "frames"] = "videos", **names: str) -> DataSource:
    return DataSource(uri="unused", format="list", num_classes=3, media=media).model_copy(update=names)


def read_one(holdings: Build, text: str | bytes, media: Literal["videos", "frames"] = "videos") -> Annotations:
    """Read a text as both lists."""
    return read_lists(holdings({"train.txt": text, "val.txt": text}), source(media=media))


def refusal(holdings: Build, text: str | bytes, media: Literal["videos", "frames"] = "videos") -> DataFailure:
    with pytest.raises(DataFailure) as refused:
        read_one(holdings, text, media)
    return refused.value


@pytest.mark.parametrize(
    ("line", "path", "label"),
    [
        pytest.param("walk/a.mp4 2", "walk/a.mp4", 2, id="a space"),
        pytest.param("walk/a.mp4,2", "walk/a.mp4", 2, id="a comma"),
        pytest.param("walk/a.mp4, 2", "walk/a.mp4", 2, id="a comma and a space"),
        pytest.param("walk/a.mp4\t2", "walk/a.mp4", 2, id="a tab"),
        pytest.param("  walk/a.mp4   2  ", "walk/a.mp4", 2, id="white space around"),
        pytest.param("long walk/clip 1.mp4 2", "long walk/clip 1.mp4", 2, id="spaces in the path"),
        pytest.param("long walk/clip 1.mp4,2", "long walk/clip 1.mp4", 2, id="spaces in the path, then a comma"),
        pytest.param("a,b.mp4 2", "a,b.mp4", 2, id="a comma in the path"),
        pytest.param("走る/動画.mp4 2", "走る/動画.mp4", 2, id="not ASCII"),
        pytest.param("a.mp4 -1", "a.mp4", -1, id="a label out of range is a line all the same"),
    ],
)
def test_a_line_is_a_path_and_a_label(holdings: Build, line: str, path: str, label: int) -> None:
    (sample,) = read_one(holdings, line).train
    assert (sample.path, sample.label, sample.frames) == (path, label, None)


@pytest.mark.parametrize("line", ["a.mp4", "a.mp4 walk", "a.mp4 1.5", "7", "a.mp4,", "a.mp4 ²"])
def test_anything_else_is_refused_by_line(holdings: Build, line: str) -> None:
    failure = refusal(holdings, f"a.mp4 0\n\n{line}\n")
    assert failure.where == "train.txt:3" or failure.where == "val.txt:3"
    assert repr(line) in failure.found
    assert "`<path> <label>`" in failure.accepted


def test_many_malformed_lines_are_shown_in_part_and_counted(holdings: Build) -> None:
    failure = refusal(holdings, "".join(f"broken{number}.mp4\n" for number in range(1, 1235)))
    assert "broken1.mp4" in failure.found
    assert "broken4.mp4" in failure.found
    assert "broken5.mp4" not in failure.found
    assert "and 1,230 more" in failure.found


def test_blank_lines_crlf_and_a_byte_order_mark_are_no_part_of_a_list(holdings: Build) -> None:
    annotations = read_one(holdings, "\ufeffa.mp4 0\r\n\r\n   \r\nb.mp4 1\r\n".encode())
    assert [(sample.path, sample.label, sample.where) for sample in annotations.train] == [
        ("a.mp4", 0, "train.txt:1"),
        ("b.mp4", 1, "train.txt:4"),
    ]


def test_a_list_that_is_no_text_is_refused(holdings: Build) -> None:
    failure = refusal(holdings, b"\xff\xfe\x00a")
    assert "not text" in failure.found
    assert failure.accepted == "text in UTF-8"


def test_test_is_val_unless_it_is_named(holdings: Build) -> None:
    files = {"train.txt": "a.mp4 0", "val.txt": "b.mp4 0", "test.txt": "c.mp4 0"}
    assert read_lists(holdings(files), source()).test[0].path == "b.mp4"
    assert read_lists(holdings(files), source(test="test.txt")).test[0].path == "c.mp4"


def test_lists_and_the_folder_of_videos_may_have_any_name(holdings: Build) -> None:
    files = {"lists/one.csv": "a.mp4 0", "lists/two.csv": "b.mp4 1"}
    annotations = read_lists(holdings(files), source(train="lists/one.csv", val="lists/two.csv", videos="clips/256p/"))
    assert (annotations.train[0].path, annotations.val[0].path) == ("a.mp4", "b.mp4")
    assert annotations.root == "clips/256p"


@pytest.mark.parametrize(("videos", "root"), [(None, "videos"), (".", ""), ("./clips", "clips")])
def test_the_folder_of_videos_may_be_the_source_itself(holdings: Build, videos: str | None, root: str) -> None:
    files = {"train.txt": "a.mp4 0", "val.txt": "a.mp4 0"}
    assert read_lists(holdings(files), source().model_copy(update={"videos": videos})).root == root


def test_a_folder_of_videos_outside_the_source_is_refused(holdings: Build) -> None:
    with pytest.raises(DataFailure, match="leads out of the data set"):
        read_lists(holdings({"train.txt": "a.mp4 0", "val.txt": "a.mp4 0"}), source(videos="clips/../../other"))


@pytest.mark.parametrize("file", ["lists/classes.txt", "lists/label_map.txt"])
def test_class_names_lie_beside_the_lists(holdings: Build, file: str) -> None:
    files = {"lists/train.txt": "a.mp4 0", "val.txt": "a.mp4 0", file: "sky diving\nrowing\nwalking\n"}
    annotations = read_lists(holdings(files), source(train="lists/train.txt"))
    assert annotations.classes == ("sky diving", "rowing", "walking")
    assert annotations.named_by == file


def test_classes_without_names_are_called_by_their_ids(holdings: Build) -> None:
    assert read_one(holdings, "a.mp4 0").classes == ("0", "1", "2")


def test_a_missing_list_is_refused_with_what_is_there(holdings: Build) -> None:
    with pytest.raises(DataFailure) as refused:
        read_lists(holdings({"training.txt": "a.mp4 0", "val.txt": "a.mp4 0", "videos/a.mp4": "x"}), source())
    assert refused.value.where == "train.txt"
    assert "set/ holds training.txt, val.txt, videos/" in refused.value.found
    assert "spec.dataset.lists" in refused.value.do


def test_an_empty_list_is_refused(holdings: Build) -> None:
    with pytest.raises(DataFailure, match=r"val\.txt: lists nothing"):
        read_lists(holdings({"train.txt": "a.mp4 0", "val.txt": "\n\n"}), source())


def test_a_line_of_frames_has_a_number_of_frames_before_its_label(holdings: Build) -> None:
    samples = read_one(holdings, "walk/long walk 120 2\nrun/a,30,1\n", "frames").train
    assert [(one.path, one.frames, one.label) for one in samples] == [("walk/long walk", 120, 2), ("run/a", 30, 1)]


@pytest.mark.parametrize("line", ["walk/a 2", "walk/a 0 2", "walk/a many 2"])
def test_frames_without_a_number_are_refused(holdings: Build, line: str) -> None:
    assert "<folder> <frames> <label>" in refusal(holdings, line, "frames").accepted
