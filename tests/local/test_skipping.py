"""A training that goes on without a corrupt video, says so, and is the same whoever loads its videos."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from mmaction_trainer.storage import open_storage, verify

from .conftest import Machine

CORRUPT = "test_mp4/v_test_mp4_train01.avi"


@pytest.fixture
def broken(machine: Machine, dataset: Path) -> Path:
    """The data set with a training video that is cut off."""
    folder = machine.root / "broken"
    shutil.copytree(dataset, folder)
    video = folder / "videos" / CORRUPT
    video.write_bytes(video.read_bytes()[:-2000])
    return folder


def trained(machine: Machine, broken: Path, name: str, **training: Any) -> Path:
    """The results of a training that skips up to a tenth of its videos."""
    data = {"uri": str(broken), "corruptVideos": "skip", "maxSkippedShare": 0.1}
    code, output = machine.run("run", machine.job(name, dataset=data, training=training))
    assert code == 0, output
    (place,) = machine.results.glob(f"default/{name}/*")
    return place


def test_a_training_skips_a_corrupt_video_and_names_it_in_its_results(machine: Machine, broken: Path) -> None:
    alone, shared = trained(machine, broken, "alone", workers=0), trained(machine, broken, "shared", workers=2)
    skipped = json.loads((alone / "skipped.json").read_text())
    assert [each["video"] for each in skipped["videos"]] == [f"data/videos/{CORRUPT}"]
    assert "the file is cut off: " in skipped["videos"][0]["reason"]
    assert verify(open_storage(str(alone))) == []
    assert "1 corrupt video, in skipped.json" in (alone / "report" / "report.md").read_text()
    first, second = (
        torch.load(place / "checkpoints/epoch_1.pth", weights_only=False)["state_dict"] for place in (alone, shared)
    )
    assert not [key for key in first if not torch.equal(first[key], second[key])]
    log = (alone / "logs" / "torchrun-node-0.log").read_text()
    assert log.count("a corrupt video is skipped") == 1
