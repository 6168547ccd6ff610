"""A job that trains nothing: the weights that it names are tested as they are, and by the same test as a training's."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.errors import ConfigFailure, Interrupted, StorageFailure
from mmaction_trainer.contract.progress import Progress
from mmaction_trainer.contract.result import Result
from mmaction_trainer.contract.run import Run
from mmaction_trainer.storage import open_storage, read_manifest, verify

from .conftest import Machine, processes_in

ONLY: dict[str, Any] = {"evaluation": {"only": True}, "training": {"epochs": None, "lr": None}}


def left_by(machine: Machine, name: str) -> tuple[Path, Result]:
    (place,) = machine.results.glob(f"default/{name}/*")
    return place, Result.model_validate(read_manifest(open_storage(str(place))).summary)


@pytest.fixture
def trained(machine: Machine) -> Path:
    """What a training left."""
    code, output = machine.run("run", machine.job("trained", evaluation={"clips": 2}))
    assert code == 0, output
    return left_by(machine, "trained")[0]


def without_training(dataset: Path, folder: Path) -> Path:
    """The data set as somebody has it who only tests: no list of training, and none of its videos."""
    shutil.copytree(dataset / "annotations", folder / "annotations", ignore=shutil.ignore_patterns("train*"))
    for line in (dataset / "annotations" / "testlist01.txt").read_text().split():
        (folder / "videos" / line).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(dataset / "videos" / line, folder / "videos" / line)
    return folder


def test_a_trainings_best_checkpoint_scores_to_the_last_digit_what_its_training_said(
    machine: Machine, trained: Path
) -> None:
    (best,) = trained.glob("checkpoints/best_*.pth")
    alone = without_training(machine.dataset, machine.root / "alone")
    job = machine.job(
        "tested",
        **ONLY | {"evaluation": {"only": True, "clips": 2}},
        model={"pretrained": str(best)},
        dataset={"uri": str(alone)},
    )
    code, output = machine.run("run", job)
    assert code == 0, output
    assert "a test alone" in output
    assert "Training" not in output
    place, result = left_by(machine, "tested")
    _, before = left_by(machine, "trained")
    assert verify(open_storage(str(place))) == []
    np.testing.assert_array_equal(np.load(place / "test" / "scores.npy"), np.load(trained / "test" / "scores.npy"))
    assert result.test
    assert result.test == before.test
    assert result.val is None
    assert result.world_size == 2

    assert (result.checkpoint, result.checkpoint_sha256) == (str(best), hashlib.sha256(best.read_bytes()).hexdigest())
    assert result.checkpoint_sha256 == before.checkpoint_sha256
    assert result.data
    assert before.data
    assert result.data.tested_sha256 == before.data.tested_sha256
    assert (result.data.videos, result.data.sha256) != (before.data.videos, before.data.sha256)
    assert result.data.videos == {"test": 6}
    assert result.complexity
    assert before.complexity
    size, same = (found.model_copy(update={"speed": None}) for found in (result.complexity, before.complexity))
    assert size == same
    assert Run.read(place / "run.json").trains is False
    assert not list(place.rglob("*.pth"))
    lines = [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
    assert [line["stage"] for line in lines] == ["start", "test"]
    page = (place / "report" / "index.html").read_text()
    assert "<h2>Training</h2>" not in page
    assert str(best) in page
    assert f"test top-1 {result.test.top1:.4f}" in output

    table = machine.run("leaderboard", machine.results)[1]
    assert table.count("6 test videos") == 1, "one data set, one protocol: one table"
    assert "default/tested" in table
    listed = machine.run("results", "list", machine.results)[1]
    assert "default/tested" in listed

    video = next((machine.dataset / "videos").rglob("*_test00.avi"))
    code, output = machine.run("demo", place, video)
    assert code == 0, output
    assert f"by {best} of default/tested" in output
    best.write_bytes(best.read_bytes() + b"more")
    shutil.rmtree(machine.root / "cache" / "weights")
    code, output = machine.run("demo", place, video)
    assert code == StorageFailure.exit_code, output
    assert f"accepted: {result.checkpoint_sha256}, as was tested" in output


def test_a_checkpoint_of_another_model_is_refused_with_what_differs(machine: Machine, trained: Path) -> None:
    (best,) = trained.glob("checkpoints/best_*.pth")
    shutil.copytree(machine.dataset, machine.root / "seven")
    classes = machine.root / "seven" / "annotations" / "classInd.txt"
    classes.write_text(classes.read_text() + "7 Another\n")
    seven = {"uri": str(machine.root / "seven"), "numClasses": 7}
    code, output = machine.run("run", machine.job("seven", **ONLY, model={"pretrained": str(best)}, dataset=seven))
    assert code == ConfigFailure.exit_code, output
    assert "best_acc_top1_epoch_1.pth is of another model: " in output
    assert "2 of another shape (cls_head.fc_cls.weight (6, 1280) where the model has (7, 1280)" in output
    assert "Testing" not in output

    resnet = {"config": "tsm_imagenet-pretrained-r50_8xb16-1x1x8-50e_kinetics400-rgb", "pretrained": str(best)}
    code, output = machine.run("run", machine.job("resnet", **ONLY, model=resnet))
    assert code == ConfigFailure.exit_code, output
    assert "missing (backbone.layer1.0.conv1.conv.net.weight" in output
    assert "unexpected (backbone.layer1.0.conv.0.conv.weight" in output
    assert "backbone.conv1.conv.weight (32, 3, 3, 3) where the model has (64, 3, 7, 7)" in output
    assert not list(machine.results.rglob("resnet/*/manifest.json"))


def test_ctrl_c_ends_a_test_alone_and_no_checkpoint_is_spoken_of(
    machine: Machine, trained: Path, wait_until: Callable[[Callable[[], bool]], None]
) -> None:
    (best,) = trained.glob("checkpoints/best_*.pth")
    (one, *_) = (machine.dataset / "annotations" / "testlist01.txt").read_text().split()
    many = machine.root / "many"
    many.mkdir()
    (many / "val.txt").write_text(f"{one} 0\n" * 20_000)
    (many / "videos").symlink_to(machine.dataset / "videos")
    data = {"uri": str(many), "format": "list"}
    process = machine.start("run", machine.job("tested", **ONLY, model={"pretrained": str(best)}, dataset=data))

    def tests() -> bool:
        return any(Progress.read(path).stage == "Testing" for path in machine.state.rglob(layout.PROGRESS))

    wait_until(tests)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == Interrupted.exit_code, output
    assert "test: stopped as asked" in output
    assert "checkpoints of the training" not in output
    assert processes_in(machine.state) == []
