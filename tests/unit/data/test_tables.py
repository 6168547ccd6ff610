"""csv files: names or ids as labels, plain columns or Kinetics' own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from mmaction_trainer.contract.errors import DataFailure
from mmaction_trainer.contract.run import DataSource
from mmaction_trainer.data.annotations import Annotations
from mmaction_trainer.data.holdings import Holdings
from mmaction_trainer.data.tables import read_tables

Build = Callable[[Mapping[str, str]], Holdings]
KINETICS = "label,youtube_id,time_start,time_end,split\n"


def read(holdings: Build, train: str, val: str, files: Mapping[str, str] | None = None) -> Annotations:
    source = DataSource(uri="unused", format="csv", num_classes=2)
    return read_tables(holdings({"train.csv": train, "val.csv": val, **(files or {})}), source)


def refusal(holdings: Build, train: str, val: str = "path,label\na.mp4,walk\n") -> DataFailure:
    with pytest.raises(DataFailure) as refused:
        read(holdings, train, val)
    return refused.value


def rows(annotations: Annotations, split: str) -> list[tuple[str, int]]:
    return [(sample.path, sample.label) for sample in annotations.splits[split]]


def test_names_are_numbered_in_alphabetical_order_of_train(holdings: Build) -> None:
    annotations = read(holdings, "path,label\na.mp4,walk\nb.mp4,run\n", "path,label\nc.mp4,walk\n")
    assert annotations.classes == ("run", "walk")
    assert annotations.named_by == "train.csv"
    assert rows(annotations, "train") == [("a.mp4", 1), ("b.mp4", 0)]
    assert rows(annotations, "val") == rows(annotations, "test") == [("c.mp4", 1)]


def test_whole_numbers_are_class_ids_as_they_are(holdings: Build) -> None:
    annotations = read(holdings, "path,label\na.mp4,1\nb.mp4,10\n", "path,label\nc.mp4,0\n")
    assert rows(annotations, "train") == [("a.mp4", 1), ("b.mp4", 10)]
    assert annotations.classes == ("0", "1")


def test_class_ids_are_named_by_a_file_beside_the_csv(holdings: Build) -> None:
    table = "path,label\na.mp4,1\n"
    assert read(holdings, table, table, {"classes.txt": "run\nwalk\n"}).classes == ("run", "walk")


def test_one_name_among_the_numbers_makes_all_of_them_names(holdings: Build) -> None:
    table = "path,label\na.mp4,7\nb.mp4,walk\n"
    assert read(holdings, table, table).classes == ("7", "walk")


def test_columns_may_stand_in_any_order_beside_others_and_cells_may_be_quoted(holdings: Build) -> None:
    table = '\ufeffviews,Label, path\r\n7,"run, fast","a, b.mp4"\r\n\r\n'
    annotations = read(holdings, table, table)
    assert annotations.classes == ("run, fast",)
    assert rows(annotations, "train") == [("a, b.mp4", 0)]
    assert annotations.train[0].where == "train.csv:2"


@pytest.mark.parametrize(
    "path", ["abc_000012_000022.mp4", "sky diving/abc_000012_000022.mp4", "sky_diving/abc_000012_000022.mp4"]
)
def test_a_kinetics_video_may_lie_in_a_class_folder_or_not(holdings: Build, path: str) -> None:
    table = KINETICS + "sky diving,abc,12,22,train\n"
    assert rows(read(holdings, table, table, {f"videos/{path}": "video"}), "train") == [(path, 0)]


def test_a_kinetics_video_that_is_nowhere_goes_by_its_plain_name(holdings: Build) -> None:
    table = KINETICS + "sky diving,abc,12,22,train\n"
    assert rows(read(holdings, table, table), "train") == [("abc_000012_000022.mp4", 0)]


def test_one_file_of_several_splits_is_read_split_by_split(holdings: Build) -> None:
    table = KINETICS + "run,a,0,10,train\nrun,b,0,10,validate\nrun,c,0,10,test\n"
    source = DataSource(
        uri="unused", format="csv", num_classes=2, train="all.csv", val="all.csv", test="all.csv", videos="clips"
    )
    annotations = read_tables(holdings({"all.csv": table}), source)
    assert annotations.root == "clips"
    assert [rows(annotations, split)[0][0][0] for split in ("train", "val", "test")] == ["a", "b", "c"]


def test_a_file_of_one_split_is_read_whole_whatever_split_it_says(holdings: Build) -> None:
    annotations = read(holdings, KINETICS + "run,a,0,10,train\n", KINETICS + "run,b,0,10,test\n")
    assert len(annotations.val) == 1


@pytest.mark.parametrize(
    ("table", "where"),
    [
        pytest.param("a.mp4,run\n", "train.csv:1", id="no header"),
        pytest.param("file,label\na.mp4,run\n", "train.csv:1", id="another column"),
        pytest.param("", "train.csv:1", id="an empty file"),
        pytest.param("path,label\n", "train.csv", id="no rows"),
        pytest.param("path,label\na.mp4,run\nb.mp4\n", "train.csv:3", id="no label"),
        pytest.param("path,label\n,run\n", "train.csv:2", id="no path"),
        pytest.param(KINETICS + "run,abc,12,,train\n", "train.csv:2", id="no end"),
        pytest.param(KINETICS + "run,abc,1m,22,train\n", "train.csv:2", id="a start that is no number"),
        pytest.param("path,label\n" + "x" * 200_000 + ",1\n", "train.csv:2", id="no csv"),
    ],
)
def test_a_malformed_file_is_refused_by_line(holdings: Build, table: str, where: str) -> None:
    assert refusal(holdings, table).where == where


def test_another_header_is_refused_with_both_that_are_accepted(holdings: Build) -> None:
    failure = refusal(holdings, "file,class\na.mp4,run\n")
    assert "the columns are file,class" in failure.found
    assert "path,label" in failure.accepted
    assert "youtube_id" in failure.accepted


@pytest.mark.parametrize("train_label", ["run", "0"], ids=["names", "ids"])
def test_a_label_that_train_lacks_is_refused_by_line(holdings: Build, train_label: str) -> None:
    failure = refusal(holdings, f"path,label\na.mp4,{train_label}\n", f"path,label\nb.mp4,{train_label}\nc.mp4,walk\n")
    assert failure.where == "val.csv:3"
    assert "'walk' is unknown" in failure.found
