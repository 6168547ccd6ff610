"""The table of baselines: what may be compared is ranked, and nothing else is."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mmaction_operator.cli.app import app
from mmaction_operator.render.pretrained import choose
from mmaction_operator.zoo import load
from mmaction_trainer.contract.result import DataReport, ModelReport, Score
from tests.published_runs import SLOWFAST, VAL, leave, views


def shown(root: Path, *words: str) -> str:
    done = CliRunner().invoke(app, ["leaderboard", str(root), *words], env={"COLUMNS": "400"})
    assert done.exit_code == 0, done.output
    return done.output


def ranked(root: Path) -> list[list[tuple[int, str]]]:
    """Each ranking's places and jobs."""
    document = json.loads(shown(root, "--output", "json"))
    return [[(run["rank"], run["job"]) for run in ranking["runs"]] for ranking in document["rankings"]]


def test_runs_of_one_protocol_on_one_data_set_are_ranked_by_their_test(tmp_path: Path) -> None:
    leave(tmp_path, "good", 0.96, views(10, 3))
    leave(tmp_path, "better", 0.97, views(10, 3))
    leave(tmp_path, "as-good", 0.96, views(10, 3))
    assert ranked(tmp_path) == [[(1, "team-a/better"), (2, "team-a/as-good"), (2, "team-a/good")]]


@pytest.mark.parametrize(
    "other",
    [
        {"protocol": views(1, 3)},
        {"protocol": VAL},
        {"protocol": views(10, 3), "data": "e" * 64},
    ],
    ids=["other views", "the protocol of validation", "other videos"],
)
def test_what_cannot_be_compared_is_never_in_one_table(tmp_path: Path, other: dict[str, Any]) -> None:
    leave(tmp_path, "one", 0.96, views(10, 3))
    leave(tmp_path, "two", 0.97, **other)
    assert sorted(ranked(tmp_path)) == [[(1, "team-a/one")], [(1, "team-a/two")]]


def test_weights_tested_as_they_are_stand_beside_a_training_that_was_tested_on_the_same(
    tmp_path: Path,
) -> None:
    def tested(sha256: str) -> DataReport:
        return DataReport(
            sha256=sha256, tested_sha256="t" * 64, format="list", split=1, classes=101, videos={"test": 3783}
        )

    leave(tmp_path, "trained", 0.97, views(10, 3), data=tested("a" * 64))
    weights = ModelReport(recipe=SLOWFAST, frames="32x2x1", pretrained="k400.pth", epochs=0, device="cuda")
    leave(tmp_path, "as-it-is", 0.96, views(10, 3), data=tested("b" * 64), val=None, model=weights)
    assert ranked(tmp_path) == [[(1, "team-a/trained"), (2, "team-a/as-it-is")]]
    rows = csv.DictReader(io.StringIO(shown(tmp_path, "--output", "csv")))
    assert [(row["epoch"], row["val top-1"], row["data sha256"]) for row in rows][1] == ("", "", "t" * 64)


def test_runs_without_what_makes_them_comparable_are_told_apart_with_the_reason(tmp_path: Path) -> None:
    leave(tmp_path, "whole", 0.96, views(10, 3))
    leave(tmp_path, "old", 0.99, views(10, 3), model=None)
    place = tmp_path / "team-a" / "old" / "uid-of-old" / "manifest.json"
    told = json.loads(place.read_text())
    del told["summary"]["data"]
    place.write_text(json.dumps(told))
    leave(tmp_path, "untested", 0.99, views(10, 3), test=None)
    (tmp_path / "team-a" / "cut" / "uid").mkdir(parents=True)
    (tmp_path / "team-a" / "cut" / "uid" / "config.py").touch()
    document = json.loads(shown(tmp_path, "--output", "json"))
    assert [len(ranking["runs"]) for ranking in document["rankings"]] == [1]
    reasons = {told["run"].split("/")[1]: told["reason"] for told in document["notRanked"]}
    assert reasons["untested"] == "no test score"
    assert "no digest" in reasons["old"]
    assert reasons["cut"]


def test_the_guides_row_is_what_the_guide_prints(tmp_path: Path) -> None:
    leave(tmp_path, "slowfast-ucf101", 0.9609, views(10, 3))
    table = shown(tmp_path, "--output", "markdown")
    assert "| rank | job | model | frames | resolution | pretrained | epoch | val protocol | val top-1 |" in table
    row = next(line for line in table.splitlines() if "slowfast-ucf101" in line)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:] == [
        *("team-a/slowfast-ucf101", SLOWFAST, "32x2x1", "256", "k400.pth", "20/100"),
        *("1x1", "94.98", "99.55", "10x3", "96.09", "99.52", "96.00"),
        *("33.79M", "27.82G", "8.00", "75.55 (Kinetics-400)", "uid-of-slowfast-ucf101"),
    ]
    assert "ucf101, split 1, 3783 test videos" in table


GUIDES_TABLE = {
    "model": ["model"],
    "frames": ["frames"],
    "resolution": ["resolution"],
    "pretrain": ["pretrained"],
    "epoch": ["epoch"],
    "val protocol": ["val protocol"],
    "val top1/top5": ["val top-1", "val top-5"],
    "test protocol": ["test protocol"],
    "test top1/top5": ["test top-1", "test top-5"],
    "params": ["params"],
    "FLOPs": ["FLOPs per view"],
}
"""Columns of the table that a how-to for MMAction2 has typed by hand, and ours for each."""
OURS = ["rank", "GPU hours", "reported by the zoo", *(name for names in GUIDES_TABLE.values() for name in names)]


def columns(form: str, text: str) -> set[str]:
    """The columns of a board that was written in this form."""
    if form == "json":
        return set(json.loads(text)["rankings"][0]["runs"][0])
    if form == "csv":
        return set(text.splitlines()[0].split(","))
    if form == "markdown":
        return {name.strip() for name in text.splitlines()[2].split("|")}
    return {re.sub(r"<[^>]+>", "", heading) for heading in re.findall(r"<th scope=\"col\".*</th>", text)}


@pytest.mark.parametrize("form", ["markdown", "csv", "json", "html"])
def test_the_guides_columns_are_all_there(tmp_path: Path, form: str) -> None:
    leave(tmp_path, "one", 0.96, views(10, 3))
    assert set(OURS) <= columns(form, shown(tmp_path, "--output", form))


def test_a_terminal_has_them_too_in_its_title_what_all_runs_share(tmp_path: Path) -> None:
    leave(tmp_path, "one", 0.96, views(10, 3))
    title, heading, *_ = shown(tmp_path).splitlines()
    assert [name for name in OURS if name not in heading] == ["resolution", "test protocol"]
    assert "tested by 10x3" in title
    assert "crop 256" in title


def test_a_val_score_is_never_ranked_however_high(tmp_path: Path) -> None:
    leave(tmp_path, "lower", 0.90, VAL, val=Score(protocol=VAL, top1=0.99, top5=1.0, epoch=1))
    leave(tmp_path, "higher", 0.91, VAL, val=Score(protocol=VAL, top1=0.10, top5=0.2, epoch=1))
    leave(tmp_path, "untested", 0.0, VAL, test=None, val=Score(protocol=VAL, top1=1.0, top5=1.0, epoch=1))
    assert ranked(tmp_path) == [[(1, "team-a/higher"), (2, "team-a/lower")]]


I3D = "i3d_imagenet-pretrained-r50_8xb8-32x2x1-100e_kinetics400-rgb"


def published_weights(recipe: str) -> str:
    """The file that a job has which asks for the zoo's weights."""
    weights = choose("zoo", load(recipe))
    assert weights
    return weights.name


@pytest.mark.parametrize(
    ("recipe", "weights", "pretrained", "reported"),
    [
        (I3D, published_weights(I3D), "ImageNet + Kinetics-400", "73.47 (Kinetics-400)"),
        (SLOWFAST, published_weights(SLOWFAST), "Kinetics-400", "75.55 (Kinetics-400)"),
        (SLOWFAST, "ours.pth", "ours.pth", "75.55 (Kinetics-400)"),
        (SLOWFAST, None, "none", "75.55 (Kinetics-400)"),
        ("of-a-later-version", "later.pth", "later.pth", None),
    ],
)
def test_what_mmaction2_publishes_of_a_recipe_stands_beside_what_was_measured(
    tmp_path: Path, recipe: str, weights: str | None, pretrained: str, reported: str | None
) -> None:
    model = ModelReport(recipe=recipe, frames="32x2x1", pretrained=weights, epochs=100, device="cuda")
    leave(tmp_path, "one", 0.96, views(10, 3), model=model)
    (row,) = json.loads(shown(tmp_path, "--output", "json"))["rankings"][0]["runs"]
    assert (row["pretrained"], row["reported by the zoo"]) == (pretrained, reported)


def test_weights_of_which_only_their_beginning_is_published_are_called_by_their_file(tmp_path: Path) -> None:
    recipe = "uniformerv2-base-p16-res224_clip-pre_u8_kinetics710-rgb"  # CLIP-400M, then what nobody says
    file = published_weights(recipe)
    model = ModelReport(recipe=recipe, frames="uniform 8", pretrained=file, epochs=30, device="cuda")
    leave(tmp_path, "one", 0.97, views(4, 3), model=model)
    (row,) = json.loads(shown(tmp_path, "--output", "json"))["rankings"][0]["runs"]
    assert (row["pretrained"], row["reported by the zoo"]) == (file, None)


def test_a_spreadsheet_has_numbers_and_not_their_roundings(tmp_path: Path) -> None:
    leave(tmp_path, "one", 0.9608776104, views(10, 3))
    (row,) = csv.DictReader(io.StringIO(shown(tmp_path, "--output", "csv")))
    assert (row["test top-1"], row["params"], row["data sha256"]) == ("0.9608776104", "33790000", "d" * 64)


def test_the_table_for_a_terminal_has_one_title_a_group_and_no_empty_column(tmp_path: Path) -> None:
    leave(tmp_path, "one", 0.96, views(10, 3), seconds=None)
    table = shown(tmp_path)
    assert "tested by 10x3 (clips x crops; short side 256, crop 256); accuracies in %" in table
    assert "GPU hours" not in table


def test_several_places_are_ranked_together(tmp_path: Path) -> None:
    for name in ("a", "b"):
        leave(tmp_path / name, f"job-{name}", 0.9, views(10, 3))
    done = CliRunner().invoke(app, ["leaderboard", str(tmp_path / "a"), str(tmp_path / "b"), "-o", "json"])
    assert len(json.loads(done.output)["rankings"][0]["runs"]) == 2
