"""Every way in which a data set can be wrong, found before anything is trained on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from mmaction_trainer.contract.checklist import Checklist
from mmaction_trainer.contract.errors import DataFailure
from mmaction_trainer.contract.preflight import Preflight
from mmaction_trainer.contract.run import DataSource
from mmaction_trainer.data import Cache, check
from tests.clips import a_clip

Files = Mapping[str, str | bytes | Path]
Build = Callable[[Files], Path]

CLIP = Path(__file__).parents[2] / "data" / "clips" / "part_0.mp4"
LIST: Files = {
    "train.txt": "a.mp4 0\nb.mp4 1\n",
    "val.txt": "c.mp4 1\n",
    **{f"videos/{name}.mp4": a_clip(name) for name in "abcd"},
}


@pytest.fixture
def examine(build: Build, cache: Cache) -> Callable[..., Preflight]:
    """Checks the data set above with some of its files, and of its source, changed."""

    def examine(files: Files, **changes: object) -> Preflight:
        source = DataSource(uri=str(build({**LIST, **files})), format="list", num_classes=2)
        checklist = Checklist()
        check(source.model_copy(update=changes), cache, checklist, lambda done, total, what: None)
        checklist.refuse()
        return checklist.report

    return examine


Examine = Callable[..., Preflight]


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
    ("files", "source", "line"),
    [
        pytest.param({"val.txt": "b.mp4 1\n"}, {}, "val.txt:1", id="train in val"),
        pytest.param({"test.txt": "a.mp4 0\n"}, {"test": "test.txt"}, "test.txt:1", id="train in test"),
        pytest.param({}, {"val": "train.txt"}, "train.txt:1", id="train is val"),
        pytest.param({"videos/c.mp4": a_clip("a")}, {}, "val.txt:1", id="a copy under another name"),
    ],
)
def test_a_video_of_train_in_val_or_test_is_refused_unless_the_job_takes_it(
    examine: Examine, files: Files, source: Mapping[str, object], line: str
) -> None:
    failure = refusal(examine, files, **source)
    assert failure.where == line
    assert "is in train too" in failure.found
    assert "spec.dataset.leakage" in failure.do
    (warning,) = examine(files, **source, leakage="warn").warnings
    assert warning.startswith(f"{line}: ")


def test_val_and_test_that_overlap_in_part_are_a_warning(examine: Examine) -> None:
    (warning,) = examine({"test.txt": "c.mp4 1\nd.mp4 0\n"}, test="test.txt").warnings
    assert warning.startswith("1 videos are in both val and test, such as c.mp4; ")
    assert examine({}, test="val.txt").warnings == ()


def test_clips_of_one_recording_on_both_sides_are_a_warning(examine: Examine) -> None:
    names = [f"v_Run_g0{group}_c0{clip}.mp4" for group in (1, 2) for clip in (1, 2)]
    files: Files = {f"videos/run/{name}": a_clip(name) for name in names}
    lists = {"train.txt": f"run/{names[0]} 0\nrun/{names[2]} 1\n", "val.txt": f"run/{names[1]} 0\n"}
    (warning,) = examine({**files, **lists}).warnings
    assert warning.startswith(
        f"1 recordings have clips in train and in test, such as run/{names[0]} and run/{names[1]}"
    )


@pytest.mark.parametrize(
    ("files", "told"),
    [
        pytest.param(
            {"train.txt": "a.mp4 0\na.mp4 0\nb.mp4 1\n"}, "train.txt:1, a.mp4 and train.txt:2, a.mp4", id="name"
        ),
        pytest.param({"videos/b.mp4": a_clip("a")}, "train.txt:1, a.mp4 and train.txt:2, b.mp4", id="content"),
        pytest.param({"val.txt": "c.mp4 1\nc.mp4 1\n"}, "val.txt:1, c.mp4 and val.txt:2, c.mp4", id="val is test"),
    ],
)
def test_a_video_that_is_twice_in_a_split_is_a_warning(examine: Examine, files: Files, told: str) -> None:
    (warning,) = examine(files).warnings
    assert warning.startswith("1 videos are more than once in ")
    assert warning.endswith(told)


def test_a_video_with_two_labels_is_refused_with_both_lines(examine: Examine) -> None:
    failure = refusal(examine, {"train.txt": "a.mp4 0\nb.mp4 1\na.mp4 1\n"})
    assert (failure.where, failure.found) == ("train.txt:3", "'a.mp4' has label 1, and train.txt:1 gives it 0")


def test_every_check_is_made_whatever_another_finds(examine: Examine) -> None:
    failure = refusal(
        examine,
        {"train.txt": "a.mp4 0\nb.mp4 7\n", "classes.txt": "run\nwalk\nfly\n", "val.txt": "gone.mp4 1\n"},
    )
    for told in ("classes.txt: 3 classes", "train.txt:2: label 7", "val.txt:1: 'gone.mp4' is not there"):
        assert told in str(failure)


def test_what_depends_on_a_check_that_failed_is_skipped_and_says_why(build: Build, cache: Cache) -> None:
    checklist = Checklist()
    source = DataSource(uri=str(build({**LIST, "val.txt": "gone.mp4 1\n"})), format="list", num_classes=2)
    assert check(source, cache, checklist, lambda done, total, what: None) is None
    outcomes = {made.name: (made.outcome, made.said) for made in checklist.report.checks}
    assert outcomes["decoding"] == outcomes["frames"] == ("skipped", "videos are missing")
    assert outcomes["leakage"][0] == "passed", "names can be compared without videos"


@pytest.mark.parametrize(("frames", "span", "outcome"), [(8, 16, "passed"), (32, 200, "warned"), (160, 160, "failed")])
def test_videos_shorter_than_a_clip_are_a_warning_and_next_to_none_a_refusal(
    build: Build, cache: Cache, frames: int, span: int, outcome: str
) -> None:
    """The clip has 32 frames."""
    source = DataSource(uri=str(build(LIST)), format="list", num_classes=2, frames=frames, span=span)
    checklist = Checklist()
    check(source, cache, checklist, lambda done, total, what: None)
    (found,) = [made for made in checklist.report.checks if made.name == "frames"]
    assert found.outcome == outcome
    if outcome == "failed":
        assert "has 32 frames, and the model sees 160 at once" in found.errors[0].message
    if outcome == "warned":
        assert "3 of 3 videos that were decoded are shorter than a clip, which spans 200 frames" in found.warnings[0]


def test_all_videos_are_decoded_where_the_job_says_so_with_progress(build: Build, cache: Cache) -> None:
    names = [f"{number:02}.mp4" for number in range(30)]
    files: Files = {f"videos/{name}": a_clip(name) for name in names}
    damaged = {"videos/17.mp4": a_clip("17.mp4")[:79_000]}
    lists = {"train.txt": "".join(f"{name} {number % 2}\n" for number, name in enumerate(names))}
    source = DataSource(uri=str(build({**LIST, **files, **damaged, **lists})), format="list", num_classes=2)
    seen: list[tuple[int, int]] = []

    def report(done: int, total: int, what: str) -> None:
        if what == "decoding videos":
            seen.append((done, total))

    for decode, outcome in (("sample", "passed"), ("all", "failed")):
        checklist = Checklist()
        seen.clear()
        check(source.model_copy(update={"decode": decode}), cache, checklist, report)
        assert checklist.made["decoding"].outcome == outcome
    assert seen == [(number, 31) for number in range(32)]
    assert "17.mp4: does not decode" in checklist.made["decoding"].errors[0].message


CUT: Files = {"videos/b.mp4": a_clip("b")[:79_000]}


@pytest.mark.parametrize("decode", ["sample", "all"])
def test_a_corrupt_video_that_a_training_skips_is_a_warning(examine: Examine, decode: str) -> None:
    (warning,) = examine(CUT, corrupt="skip", max_skipped=0.5, decode=decode).warnings
    assert "videos/b.mp4: does not decode, and will be skipped: the file is cut off" in warning


@pytest.mark.parametrize(
    ("files", "changes"),
    [
        (CUT, {"max_skipped": 0.4, "decode": "all"}),
        ({"videos/c.mp4": a_clip("c")[:79_000]}, {"max_skipped": 1.0}),
        ({**CUT, "val.txt": "b.mp4 1\n"}, {"max_skipped": 1.0, "leakage": "warn"}),
    ],
    ids=["more than the share, where all are decoded", "of validation", "of training and of validation"],
)
def test_any_other_is_refused_whatever_a_training_skips(
    examine: Examine, files: Files, changes: dict[str, object]
) -> None:
    assert "does not decode" in refusal(examine, files, corrupt="skip", **changes).found


def test_classes_that_train_never_shows_are_a_warning(examine: Examine) -> None:
    (warning,) = examine({}, num_classes=101).warnings
    assert warning == "99 of 101 classes have no video in train, such as 2 (2)"
