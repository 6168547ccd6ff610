"""The table of baselines: what may be compared is ranked, and nothing else is."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mmaction_operator.cli.app import app
from mmaction_trainer.contract.result import Complexity, DataReport, ModelReport, Result, Score
from mmaction_trainer.contract.run import JobIdentity, Protocol
from mmaction_trainer.storage import open_storage, publish

SLOWFAST = "slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb"
VAL = Protocol(clips=1, crops=1, short_side=256, crop_size=224)


def views(clips: int, crops: int) -> Protocol:
    return Protocol(clips=clips, crops=crops, short_side=256, crop_size=256)


def leave(root: Path, name: str, top1: float, protocol: Protocol, *, data: str = "d" * 64, **more: Any) -> None:
    """Results of a run, as a training leaves them."""
    uid = f"uid-of-{name}"
    told: dict[str, Any] = {
        "val": Score(protocol=VAL, top1=0.9498, top5=0.9955, epoch=20),
        "test": Score(protocol=protocol, top1=top1, top5=0.9952, mean_class=0.96, videos=3783),
        "model": ModelReport(recipe=SLOWFAST, frames="32x2x1", pretrained="k400.pth", epochs=100, device="cuda"),
        "data": DataReport(sha256=data, format="ucf101", split=1, classes=101, videos={"train": 9537, "test": 3783}),
        "complexity": Complexity(parameters=33_790_000, flops_per_view=27_816_000_000, views=30),
        "seconds": 7200.0,
        **more,
    }
    place = open_storage(str(root / "team-a" / name / uid))
    result = Result(outcome="Succeeded", results_uri=place.uri, port=1, world_size=4, **told)
    job = JobIdentity(namespace="team-a", name=name, uid=uid)
    (root / "empty").mkdir(parents=True, exist_ok=True)
    publish(place, root / "empty", [], job, json.loads(result.to_json()))


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
        *("33.79M", "27.82G", "8.0", "uid-of-slowfast-ucf101"),
    ]
    assert "ucf101, split 1, 3783 test videos" in table


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
