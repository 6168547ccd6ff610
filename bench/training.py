"""How long a training step takes on CPU: a job of ours beside MMAction2's own tools/train.py.

    python -m bench.training [--record]

Both train one rendered model on one list of real clips, in one process with one that loads, and take turns. Ours is
`trainjob run`, with all that it does beside a training: its loop, its hooks, its looks at whether it hangs. MMAction2's
runs that config with its own loop, hooks and transforms. What counts is what MMEngine logs as the time of a step, from
the second line of the log on; a step that waits for its clips counts with that wait.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from mmaction_operator.api import parse
from mmaction_operator.render import render

from .first_iteration import build
from .measured import RECORDS, arguments, compared, recorded, tell

SOURCES = ("test.mp4", "demo.mp4", "test_video_structuralize.mp4")
SIDES = ("stock", "ours")
VIDEOS, TESTED, BATCH = 160, 2, 2
SIZES = {
    "SlowFast 4x16, 64 pixels": ("slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb", 64),
    "TSM MobileNetV2 1x1x8, 112 pixels": ("tsm_imagenet-pretrained-mobilenetv2_8xb16-1x1x8-100e_kinetics400-rgb", 112),
}
"""Configs, and crops so small that a step takes a second or less."""
MISSING = """\
import sys, types
for name in ("mmaction.models.localizers.drn", "mmaction.models.localizers.drn.drn"):
    module = sys.modules[name] = types.ModuleType(name)
    module.__path__, module.DRN = [], type("DRN", (), {})
"""
"""What MMAction2's wheel lacks, without which it cannot be imported."""


def a_job(config: str, size: int, dataset: Path) -> dict[str, Any]:
    """The job that both train."""
    return {
        "apiVersion": "mmaction.dev/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": "training"},
        "spec": {
            "model": {"config": config, "pretrained": "none"},
            "dataset": {"uri": str(dataset), "format": "list", "numClasses": 2},
            "input": {"cropSize": size},
            "training": {"epochs": 1, "batchSizePerGPU": BATCH, "workers": 1, "lr": 0.001},
            "evaluation": {"clips": 1, "crops": 1},
            "resources": {"gpusPerNode": 0},
            "storage": {"uri": "results"},
            "preflight": False,
        },
    }


def ours(job: dict[str, Any], folder: Path) -> list[float]:
    """Seconds of a step that each line of the log has, in `trainjob run`."""
    (folder / "job.yaml").write_text(yaml.safe_dump(job))
    places = {f"TRAINJOB_{name.upper()}": str(folder / name) for name in ("leases", "state", "cache")}
    command = [sys.executable, "-c", "from mmaction_operator.cli import main; main()", "run", "job.yaml"]
    return logged(command, folder, {**os.environ, **places})


def stock(job: dict[str, Any], folder: Path) -> list[float]:
    """The same in MMAction2's tools/train.py."""
    from mmengine.config import Config

    config = Config.fromstring(render(parse(job)).text, ".py")
    config.custom_imports = None
    config.custom_hooks = []
    config.train_cfg.type = "EpochBasedTrainLoop"
    config.launcher = "none"
    config.visualizer = {"type": "ActionVisualizer", "vis_backends": [{"type": "LocalVisBackend"}]}
    dataset = Path(job["spec"]["dataset"]["uri"])
    for stage, name in {"train": "train", "val": "val", "test": "val"}.items():
        reads = config[f"{stage}_dataloader"].dataset
        reads.ann_file, reads.data_prefix = str(dataset / f"{name}.txt"), {"video": str(dataset / "videos")}
    (folder / "config.py").write_text(config.pretty_text)
    (folder / "sitecustomize.py").write_text(MISSING)
    package = find_spec("mmaction")
    assert package
    assert package.submodule_search_locations
    script = Path(package.submodule_search_locations[0]) / ".mim" / "tools" / "train.py"
    command = [sys.executable, str(script), "config.py"]
    return logged(command, folder, {**os.environ, "PYTHONPATH": str(folder), "CUDA_VISIBLE_DEVICES": ""})


def logged(command: list[str], folder: Path, environment: dict[str, str]) -> list[float]:
    """Run a training, and read the times of its steps while its folder is there."""
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
        lines: list[str] = []
        while process.poll() is None:
            time.sleep(0.1)
            for path in folder.glob("**/vis_data/scalars.json"):
                lines = path.read_text().splitlines() or lines
    assert process.returncode == 0, (folder / "output").read_text()[-4000:]
    told = [json.loads(line) for line in lines if line.endswith("}")]
    return [line["time"] for line in told if "loss" in line][1:]


def measure(config: str, size: int, rounds: int) -> dict[str, Any]:
    """Milliseconds of a step on both sides, round by round, and their ratio."""
    spent: dict[str, list[float]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as top:
        build(Path(top) / "dataset", VIDEOS + TESTED, TESTED, SOURCES)
        job = a_job(config, size, Path(top) / "dataset")
        for number in range(rounds):
            for side in SIDES[:: 1 if number % 2 else -1]:
                folder = Path(top) / f"{side}-{number}"
                folder.mkdir()
                seconds = (ours if side == "ours" else stock)(job, folder)
                spent[side].append(1000 * statistics.mean(seconds))
                print(f"{side}: {spent[side][-1]:.0f} ms", file=sys.stderr)
    return {
        **{f"{side}MsPerStep": [round(value, 1) for value in spent[side]] for side in SIDES},
        **compared(spent["stock"], spent["ours"]),
    }


def record(rounds: int) -> dict[str, Any]:
    """Measure every config."""
    models = {name: measure(config, size, rounds) for name, (config, size) in SIZES.items()}
    return {"rounds": rounds, "batch": BATCH, "models": models}


def main() -> None:
    """Measure; print the figures, and with ``--record`` write them down."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="times that each trains (default: 3)")
    options = parser.parse_args()
    found = recorded(lambda: record(options.rounds), ("mmaction2", "mmengine", "torch"))
    tell(found, RECORDS / "training.json", keep=options.record)


if __name__ == "__main__":
    main()
