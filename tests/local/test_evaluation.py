"""What our test stage says of a checkpoint is what MMAction2's own test script says of it, video by video."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from .conftest import Machine

ARCH = {"_delete_": True, "embed_dims": 96, "depths": [1, 1, 1, 1], "num_heads": [3, 6, 12, 24]}
SMALL = {
    "model": {"config": "swin-tiny-p244-w877_in1k-pre_8xb8-amp-32x2x1-30e_kinetics400-rgb", "pretrained": "none"},
    "input": {"frames": 4, "frameInterval": 1, "cropSize": 32},
    "overrides": {"model": {"backbone": {"arch": ARCH}}},
}


def mmaction2s_test(place: Path, videos: Path) -> list[tuple[np.ndarray, int]]:
    """Scores and label of each video, by MMAction2's tools/test.py on what a job left, in one process."""
    (place / "data" / "videos").symlink_to(videos)
    (checkpoint,) = place.glob("checkpoints/best_*.pth")
    package = find_spec("mmaction")
    assert package
    assert package.submodule_search_locations
    script = Path(package.submodule_search_locations[0]) / ".mim" / "tools" / "test.py"
    words = [sys.executable, script, "config.py", checkpoint, "--work-dir=again", "--dump=again.pkl"]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        list(map(str, words)), cwd=place, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with (place / "again.pkl").open("rb") as file:
        return [(sample["pred_score"].numpy(), int(sample["gt_label"])) for sample in pickle.load(file)]


@pytest.mark.parametrize(("clips", "crops"), [(1, 1), (10, 3), (4, 3)])
def test_scores_and_accuracies_are_those_of_mmaction2s_own_script(machine: Machine, clips: int, crops: int) -> None:
    code, output = machine.run("run", machine.job(**SMALL, evaluation={"clips": clips, "crops": crops}))
    assert code == 0, output
    (place,) = machine.results.glob("default/small/*")
    theirs = mmaction2s_test(place, machine.dataset / "videos")
    ours = np.load(place / "test" / "scores.npy")
    np.testing.assert_allclose(ours, np.stack([scores for scores, _ in theirs]), atol=1e-4)
    found = json.loads((place / "test" / "metrics.json").read_text())
    assert (found["protocol"]["clips"], found["protocol"]["crops"]) == (clips, crops)
    ranks = [int((scores > scores[label]).sum()) for scores, label in theirs]
    for name, count in (("top1", 1), ("top5", 5)):
        assert found[name] == pytest.approx(np.mean([rank < count for rank in ranks]), abs=1e-4)
