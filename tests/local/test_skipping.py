"""A training that goes on without a corrupt video, and says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

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


def test_a_training_skips_a_corrupt_video_and_names_it_in_its_results(machine: Machine, broken: Path) -> None:
    data = {"uri": str(broken), "corruptVideos": "skip", "maxSkippedShare": 0.1}
    code, output = machine.run("run", machine.job(dataset=data, training={"workers": 1}))
    assert code == 0, output
    (place,) = machine.results.glob("default/small/*")
    skipped = json.loads((place / "skipped.json").read_text())
    assert [each["video"] for each in skipped["videos"]] == [f"data/videos/{CORRUPT}"]
    assert "the file is cut off: " in skipped["videos"][0]["reason"]
    assert verify(open_storage(str(place))) == []
    assert "1 corrupt video, in skipped.json" in (place / "report" / "report.md").read_text()
    log = (place / "logs" / "torchrun-node-0.log").read_text()
    assert log.count("a corrupt video is skipped") == 1
