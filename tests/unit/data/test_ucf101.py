"""UCF101's own files, with their traps: CRLF, ids from 1, and a test list without labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from mmaction_trainer.contract.errors import DataFailure
from mmaction_trainer.contract.run import DataSource
from mmaction_trainer.data.annotations import Annotations, Sample
from mmaction_trainer.data.holdings import Holdings
from mmaction_trainer.data.ucf101 import read_ucf101

Build = Callable[[Mapping[str, str]], Holdings]

CLASSES = "1 ApplyEyeMakeup\r\n2 Archery\r\n3 HandstandPushups\r\n"
TRAIN = (
    "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1\r\n"
    "Archery/v_Archery_g08_c01.avi 2\r\n"
    "HandstandPushups/v_HandStandPushups_g08_c01.avi 3\r\n"
)
TEST = "Archery/v_Archery_g01_c01.avi\r\n"


def source(split: int = 1) -> DataSource:
    return DataSource(uri="unused", format="ucf101", num_classes=3, split=split)


def read(holdings: Build, split: int, **files: str) -> Annotations:
    """The official lists in small, some of them changed."""
    given = {"classInd": CLASSES, "trainlist01": TRAIN, "testlist01": TEST} | files
    return read_ucf101(holdings({f"annotations/{name}.txt": text for name, text in given.items()}), source(split))


def refusal(holdings: Build, **files: str) -> DataFailure:
    with pytest.raises(DataFailure) as refused:
        read(holdings, 1, **files)
    return refused.value


def test_labels_count_from_zero_and_paths_lie_under_videos(holdings: Build) -> None:
    annotations = read(holdings, 1)
    assert annotations.root == "videos"
    assert annotations.train == (
        Sample("ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi", 0, "annotations/trainlist01.txt:1"),
        Sample("Archery/v_Archery_g08_c01.avi", 1, "annotations/trainlist01.txt:2"),
        Sample("HandstandPushups/v_HandStandPushups_g08_c01.avi", 2, "annotations/trainlist01.txt:3"),
    )


def test_the_test_list_has_labels_from_its_folders_and_is_the_validation_list_too(holdings: Build) -> None:
    annotations = read(holdings, 1)
    assert annotations.test == (Sample("Archery/v_Archery_g01_c01.avi", 1, "annotations/testlist01.txt:1"),)
    assert annotations.val == annotations.test


def test_classes_are_named_in_the_order_of_their_ids(holdings: Build) -> None:
    assert read(holdings, 1).classes == ("ApplyEyeMakeup", "Archery", "HandstandPushups")


def test_a_split_has_its_own_lists(holdings: Build) -> None:
    annotations = read(holdings, 2, trainlist02="Archery/a.avi 2\n", testlist02="Archery/b.avi\n")
    assert [sample.path for sample in annotations.train + annotations.test] == ["Archery/a.avi", "Archery/b.avi"]


def test_a_missing_split_is_refused_with_the_lists_that_are_there(holdings: Build) -> None:
    with pytest.raises(DataFailure) as refused:
        read(holdings, 3)
    assert refused.value.where == "annotations/testlist03.txt"
    assert "annotations/ holds classInd.txt, testlist01.txt, trainlist01.txt" in refused.value.found


def test_another_layout_is_refused_with_what_is_there_instead(holdings: Build) -> None:
    with pytest.raises(DataFailure) as refused:
        read_ucf101(holdings({"UCF-101/Archery/a.avi": "video", "splits/classInd.txt": CLASSES}), source())
    assert refused.value.where == "annotations/classInd.txt"
    assert "set/ holds UCF-101/, splits/" in refused.value.found


def test_a_class_that_classind_lacks_is_refused_by_line(holdings: Build) -> None:
    failure = refusal(holdings, testlist01=TEST + "Rowing/x.avi\r\n")
    assert failure.where == "annotations/testlist01.txt:2"
    assert "'Rowing'" in failure.found
    assert "classInd.txt" in failure.accepted


def test_an_id_that_contradicts_its_folder_is_refused(holdings: Build) -> None:
    failure = refusal(holdings, trainlist01="Archery/x.avi 1\r\n")
    assert failure.where == "annotations/trainlist01.txt:1"
    assert "has id 1, and its folder is class 2" in failure.found


@pytest.mark.parametrize(
    ("classes", "line"),
    [
        pytest.param("0 A\n1 B\n", 1, id="ids from zero"),
        pytest.param("1 A\n3 B\n", 2, id="a gap"),
        pytest.param("1 A\n2\n", 2, id="an id without a name"),
        pytest.param("A 1\nB 2\n", 1, id="columns the other way round"),
    ],
)
def test_a_malformed_class_list_is_refused_by_line(holdings: Build, classes: str, line: int) -> None:
    failure = refusal(holdings, classInd=classes)
    assert failure.where == f"annotations/classInd.txt:{line}"
    assert "ids 1, 2, 3" in failure.accepted


def test_an_empty_list_is_refused(holdings: Build) -> None:
    failure = refusal(holdings, testlist01="\r\n\r\n")
    assert (failure.where, failure.found) == ("annotations/testlist01.txt", "lists nothing")
