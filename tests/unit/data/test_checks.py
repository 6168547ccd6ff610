"""Every way in which a data set can be wrong, found before anything is trained on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from mmaction_trainer.contract.errors import DataFailure
from mmaction_trainer.contract.run import DataSource
from mmaction_trainer.data import Prepared, check

Files = Mapping[str, str | bytes | Path]
Build = Callable[[Files], Path]

CLIP = Path(__file__).parents[2] / "data" / "clips" / "part_0.mp4"
LIST: Files = {
    "train.txt": "a.mp4 0\nb.mp4 1\n",
    "val.txt": "c.mp4 1\n",
    **{f"videos/{name}.mp4": CLIP for name in "abcd"},
}


@pytest.fixture
def examine(build: Build, cache: Path) -> Callable[..., Prepared]:
    """Checks the data set above with some of its files, and of its source, changed."""

    def examine(files: Files, **changes: object) -> Prepared:
        source = DataSource(uri=str(build({**LIST, **files})), format="list", num_classes=2)
        return check(source.model_copy(update=changes), cache, lambda done, total, what: None)

    return examine


Examine = Callable[..., Prepared]


def refusal(examine: Examine, files: Files, **changes: object) -> DataFailure:
    with pytest.raises(DataFailure) as refused:
        examine(files, **changes)
    return refused.value


def test_a_data_set_without_fault_passes_without_a_word(examine: Examine) -> None:
    assert examine({}).warnings == ()


@pytest.mark.parametrize("label", [-1, 2, 99])
def test_a_label_beyond_the_classes_is_refused_by_line(examine: Examine, label: int) -> None:
    failure = refusal(examine, {"train.txt": f"a.mp4 0\nb.mp4 {label}\n"})
    assert failure.where == "train.txt:2"
    assert failure.found == f"label {label} is no class id"
    assert failure.accepted == "0 to 1"


def test_labels_from_one_are_recognised(examine: Examine) -> None:
    failure = refusal(examine, {"train.txt": "a.mp4 1\nb.mp4 2\n", "val.txt": "c.mp4 1\n"})
    assert "take 1 off" in failure.do
    assert "take 1 off" not in refusal(examine, {"train.txt": "a.mp4 0\nb.mp4 2\n"}).do


@pytest.mark.parametrize(
    ("files", "changes", "where"),
    [
        pytest.param({"classes.txt": "run\nwalk\nfly\n"}, {}, "classes.txt", id="list"),
        pytest.param(
            {
                "annotations/classInd.txt": "1 run\n",
                "annotations/trainlist01.txt": "run/a.avi 1",
                "annotations/testlist01.txt": "run/b.avi",
            },
            {"format": "ucf101"},
            "annotations/classInd.txt",
            id="ucf101",
        ),
        pytest.param({"train/run/a.mp4": CLIP, "val/run/b.mp4": CLIP}, {"format": "folders"}, "train/", id="folders"),
        pytest.param(
            {"train.csv": "path,label\na.mp4,run\n", "val.csv": "path,label\na.mp4,run\n"},
            {"format": "csv"},
            "train.csv",
            id="csv",
        ),
    ],
)
def test_another_number_of_classes_than_the_job_says_is_refused(
    examine: Examine, files: Files, changes: Mapping[str, object], where: str
) -> None:
    failure = refusal(examine, files, **changes)
    count = 3 if where == "classes.txt" else 1
    assert (failure.where, failure.found) == (where, f"{count} classes")
    assert failure.accepted == "2, as the job says"
    assert f"spec.dataset.numClasses to {count}" in failure.do


def test_a_class_named_twice_is_refused(examine: Examine) -> None:
    failure = refusal(examine, {"classes.txt": "run\nrun\n"})
    assert failure.found == "class 'run' is named twice"


def test_missing_videos_are_refused_by_line_with_one_that_is_there(examine: Examine) -> None:
    lines = "".join(f"gone{number}.mp4 0\n" for number in range(10))
    failure = refusal(examine, {"train.txt": "a.mp4 0\n" + lines})
    assert failure.where == "train.txt:2"
    assert "'gone0.mp4' is not there" in failure.found
    assert "train.txt:3: 'gone1.mp4'" in failure.found
    assert "and 6 more" in failure.found
    assert "videos/, such as a.mp4" in failure.accepted


def test_an_empty_folder_of_videos_is_called_that(examine: Examine) -> None:
    assert "it is empty" in refusal(examine, {}, videos="nothing").accepted


def test_a_video_in_another_case_is_missing(examine: Examine) -> None:
    assert "'A.mp4' is not there" in refusal(examine, {"train.txt": "A.mp4 0\n"}).found


@pytest.mark.parametrize("path", ["/videos/a.mp4", "../a.mp4", "walk/../../a.mp4", "."])
def test_a_path_out_of_the_data_set_is_refused(examine: Examine, path: str) -> None:
    failure = refusal(examine, {"train.txt": f"{path} 0\n"})
    assert failure.where == "train.txt:1"
    assert "leads out of the data set" in failure.found


def test_an_empty_video_is_refused_wherever_it_is_on_the_list(examine: Examine) -> None:
    names = [f"many/{number}.mp4" for number in range(50)]
    many: Files = {f"videos/{name}": CLIP if name != "many/33.mp4" else b"" for name in names}
    failure = refusal(examine, {**many, "train.txt": "".join(f"{name} 0\n" for name in names)})
    assert (failure.where, failure.found) == ("train.txt:34", "'many/33.mp4' has 0 bytes")


def test_a_truncated_video_that_is_sampled_is_refused_by_name(examine: Examine) -> None:
    failure = refusal(examine, {"videos/c.mp4": CLIP.read_bytes()[:79_000]})
    assert failure.where.endswith("videos/c.mp4")
    assert "does not decode" in failure.found


def test_frames_are_refused_for_any_format_but_lists(examine: Examine) -> None:
    failure = refusal(examine, {}, media="frames", format="folders")
    assert failure.where == "spec.dataset.format"
    assert failure.accepted == "list"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("walk 3 0", "'walk' holds 2 frames, and the line says 3"),
        ("run 2 0", "'run' is not there"),
        ("blank 1 0", "'blank' is not there"),
        ("../walk 2 0", "'../walk' leads out of the data set"),
    ],
)
def test_folders_with_fewer_frames_than_listed_are_refused(examine: Examine, line: str, found: str) -> None:
    frames: Files = {f"videos/walk/img_{number:05}.jpg": b"jpeg" for number in (1, 2)}
    files = {**frames, "videos/blank/img_00001.jpg": b"", "train.txt": "walk 2 0\n", "val.txt": f"{line}\n"}
    failure = refusal(examine, files, media="frames")
    assert (failure.where, failure.found) == ("val.txt:1", found)


@pytest.mark.parametrize(
    ("files", "source", "pairs"),
    [
        pytest.param({"val.txt": "b.mp4 1\n"}, {}, ["train and val", "train and test"], id="train in val"),
        pytest.param({"test.txt": "a.mp4 0\n"}, {"test": "test.txt"}, ["train and test"], id="train in test"),
        pytest.param({"test.txt": "c.mp4 1\nd.mp4 0\n"}, {"test": "test.txt"}, ["val and test"], id="val in test"),
        pytest.param({}, {"val": "train.txt"}, ["train and val", "train and test"], id="train is val"),
        pytest.param({}, {"test": "val.txt"}, [], id="val is test"),
    ],
)
def test_a_video_in_two_splits_is_a_warning(
    examine: Examine, files: Files, source: Mapping[str, object], pairs: list[str]
) -> None:
    warnings = examine(files, **source).warnings
    assert len(warnings) == len(pairs)
    assert all(f"in both {pair}" in warning for pair, warning in zip(pairs, warnings, strict=True))


def test_classes_that_train_never_shows_are_a_warning(examine: Examine) -> None:
    (warning,) = examine({}, num_classes=101).warnings
    assert warning == "99 of 101 classes have no video in train, such as 2 (2)"
