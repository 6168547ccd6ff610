"""A test alone: nothing but its list is read or needed, and it is the same list as a training's test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from mmaction_trainer.contract.checklist import Checklist
from mmaction_trainer.contract.errors import DataFailure
from mmaction_trainer.contract.run import CLASSES, LISTS, DataSource
from mmaction_trainer.data import Cache, check, prepare
from tests.clips import a_clip

Build = Callable[[Mapping[str, str | bytes | Path]], Path]

CLIP = Path(__file__).parents[2] / "data" / "clips" / "part_0.mp4"
TRAINING = {
    "ucf101": {
        "annotations/trainlist01.txt": "run/a.mp4 1\nwalk/b.mp4 2\n",
        **{f"videos/{name}": CLIP for name in ("run/a.mp4", "walk/b.mp4")},
    },
    "list": {"train.txt": "a.mp4 0\nb.mp4 1\n", **{f"videos/{name}.mp4": CLIP for name in "ab"}},
    "csv": {"train.csv": "path,label\na.mp4,run\nb.mp4,walk\n", **{f"videos/{name}.mp4": CLIP for name in "ab"}},
    "folders": {f"train/{name}": CLIP for name in ("run/a.mp4", "walk/b.mp4")},
}
TESTED = {
    "ucf101": {
        "annotations/classInd.txt": "1 run\n2 walk\n",
        "annotations/testlist01.txt": "run/c.mp4\nwalk/d.mp4\n",
        **{f"videos/{name}": CLIP for name in ("run/c.mp4", "walk/d.mp4")},
    },
    "list": {"val.txt": "c.mp4 0\nd.mp4 1\n", "classes.txt": "run\nwalk\n", "videos/c.mp4": CLIP, "videos/d.mp4": CLIP},
    "csv": {"val.csv": "path,label\nc.mp4,run\nd.mp4,walk\n", "videos/c.mp4": CLIP, "videos/d.mp4": CLIP},
    "folders": {f"val/{name}": CLIP for name in ("run/c.mp4", "walk/d.mp4")},
}


def quiet(done: int, total: int, what: str) -> None:
    pass


def source(folder: Path, layout: str, **told: object) -> DataSource:
    return DataSource.model_validate({"uri": str(folder), "format": layout, "num_classes": 2, **told})


@pytest.mark.parametrize("layout", TESTED)
def test_it_needs_the_tested_videos_and_what_lists_them(build: Build, run_dir: Path, cache: Cache, layout: str) -> None:
    data = source(build(TESTED[layout]), layout, test_alone=True)
    prepared = prepare(data, run_dir, cache, quiet)
    assert prepared.counts == {"test": 2}
    assert (run_dir / CLASSES).read_text() == "run\nwalk\n"
    assert [line.split()[1] for line in (run_dir / LISTS["test"]).read_text().splitlines()] == ["0", "1"]
    assert not (run_dir / LISTS["train"]).exists()
    assert not (run_dir / LISTS["val"]).exists()


@pytest.mark.parametrize("layout", TESTED)
def test_its_videos_and_labels_have_the_digest_that_a_training_says_it_tested(
    build: Build, run_dir: Path, cache: Cache, layout: str
) -> None:
    folder = build(TRAINING[layout] | TESTED[layout])
    whole = prepare(source(folder, layout), run_dir, cache, quiet)
    alone = prepare(source(folder, layout, test_alone=True), run_dir, cache, quiet)
    assert whole.tested == alone.tested
    assert whole.digest != alone.digest


@pytest.mark.parametrize("layout", ["csv", "folders"])
def test_classes_are_numbered_as_in_training_where_its_list_is_there(
    build: Build, run_dir: Path, cache: Cache, layout: str
) -> None:
    few = {name: content for name, content in TESTED[layout].items() if "run" not in name and name != "val.csv"}
    one = {"val.csv": "path,label\nd.mp4,walk\n"} if layout == "csv" else {}
    folder = build(TRAINING[layout] | few | one)
    whole, alone = (prepare(source(folder, layout, test_alone=value), run_dir, cache, quiet) for value in (False, True))
    assert whole.tested == alone.tested


@pytest.mark.parametrize("layout", ["csv", "folders"])
def test_some_of_the_classes_alone_are_refused_as_nothing_says_their_numbers(
    build: Build, run_dir: Path, cache: Cache, layout: str
) -> None:
    three = source(build(TESTED[layout]), layout, test_alone=True, num_classes=3)
    with pytest.raises(DataFailure, match=r"2 classes; accepted: 3.*format: list"):
        prepare(three, run_dir, cache, quiet)


def test_no_tested_videos_are_a_failure(build: Build, run_dir: Path, cache: Cache) -> None:
    with pytest.raises(DataFailure, match="no videos there"):
        prepare(source(build(TRAINING["folders"]), "folders", test_alone=True), run_dir, cache, quiet)


@pytest.mark.parametrize("layout", TESTED)
def test_every_check_of_its_preflight_passes_with_nothing_else_there(build: Build, cache: Cache, layout: str) -> None:
    files = {name: a_clip(name) if content is CLIP else content for name, content in TESTED[layout].items()}
    checklist = Checklist()
    assert check(source(build(files), layout, test_alone=True), cache, checklist, quiet)
    assert {made.outcome for made in checklist.report.checks} == {"passed"}
    assert checklist.made["lists"].said == "test 2 videos of 2 classes"
