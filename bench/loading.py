"""How many clips a second reach a training, and how many videos a test: our loaders beside MMAction2's own.

    python -m bench.loading [--record]

Both sides are a data loader of one rendered config, with one list of the tests' clips, one number of processes and one
seed; on the one side the transforms of this product are put back to those of MMAction2 that they stand in for. What
counts is the time until the last input lies on the model's device. They take turns, either one first; passes that are
not counted come before, and in them both must give the same inputs, byte for byte.
"""

from __future__ import annotations

import gc
import hashlib
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import BaseDataPreprocessor
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from mmaction_operator.api import parse
from mmaction_operator.render import render
from mmaction_trainer.contract.run import CONFIG, LISTS, VIDEOS
from mmaction_trainer.runtime.sequence import SeededPipeline

from .measured import RECORDS, arguments, compared, cpu_milliseconds, recorded, tell

ROOT = Path(__file__).parents[1]
CLIPS = ROOT / "tests" / "data" / "clips"
RESULTS = RECORDS / "loading.json"
SIDES = ("stock", "ours")
PASSES_OF_STOCK = 5
OURS = "mmaction_trainer."
"""Where transforms of this product are."""
VIDEOS_OF = {
    "H.264, as Kinetics'": ("test.mp4", "demo.mp4", "test_video_structuralize.mp4"),
    "XviD, as UCF101's": ("test.avi",),
}
SLOWFAST = "slowfast_r50_8xb8-8x8x1-256e_kinetics400-rgb"
TIMESFORMER = "timesformer_divST_8xb8-8x32x1-15e_kinetics400-rgb"
UNIFORMER = "uniformerv2-base-p16-res224_clip_8xb32-u8_kinetics400-rgb"


@dataclass(frozen=True)
class Case:
    """A loader of a config: of its training or of its test, and how many videos a pass reads."""

    config: str
    stage: str
    videos: int


CASES = {
    "training, SlowFast 32x2": Case(SLOWFAST, "train", 48),
    "training, TimeSformer 8x32": Case(TIMESFORMER, "train", 48),
    "training, UniFormerV2 uniform 8": Case(UNIFORMER, "train", 48),
    "test, SlowFast 32x2, 10 x 3 views": Case(SLOWFAST, "test", 12),
    "test, TimeSformer 8x32, 1 x 3 views": Case(TIMESFORMER, "test", 24),
    "test, UniFormerV2 uniform 8, 4 x 3 views": Case(UNIFORMER, "test", 24),
}


def rendered(case: Case, workers: int) -> str:
    """The config of a job for this case."""
    job = {
        "apiVersion": "mmaction.dev/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": "loading"},
        "spec": {
            "model": {"config": case.config, "pretrained": "none"},
            "dataset": {"uri": "/data", "format": "list", "numClasses": 2},
            "training": {"workers": workers},
            "storage": {"uri": "/results"},
        },
    }
    return render(parse(job)).text


@contextmanager
def a_run(case: Case, clips: tuple[str, ...], workers: int) -> Iterator[Config]:
    """The config in a run directory with its list and its videos, which is the working directory then."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        Path(CONFIG).write_text(rendered(case, workers))
        names = (clips[number % len(clips)] for number in range(case.videos))
        listed = Path(LISTS[case.stage])
        for path in (Path(VIDEOS), listed):
            path.parent.mkdir(exist_ok=True)
        Path(VIDEOS).symlink_to(CLIPS)
        listed.write_text("".join(f"{name} 0\n" for name in names))
        yield Config.fromfile(CONFIG)


@contextmanager
def transforms_of(side: str) -> Iterator[None]:
    """What a pipeline that is built meanwhile is made of: on the stock side, what ours stand in for."""
    from mmaction.registry import TRANSFORMS

    ours = {name: own for name, own in TRANSFORMS.module_dict.items() if own.__module__.startswith(OURS)}
    assert ours
    if side == "stock":
        for name, own in ours.items():
            (replaced,) = own.__bases__
            assert replaced.__module__.startswith("mmaction."), f"{name} stands in for none of MMAction2's"
            TRANSFORMS.register_module(name=name, module=replaced, force=True)
    try:
        yield
    finally:
        for name, own in ours.items():
            TRANSFORMS.register_module(name=name, module=own, force=True)


def a_loader(config: Config, stage: str, side: str) -> Any:
    """The data loader of one side; what is drawn at random follows from the seed and the video on both."""
    with transforms_of(side), DefaultScope.overwrite_default_scope(config.default_scope):
        loader = Runner.build_dataloader(config[f"{stage}_dataloader"], seed=0)
    loader.dataset.full_init()
    loader.dataset.pipeline = SeededPipeline(loader.dataset.pipeline, seed=0)
    return loader


def inputs(loader: Any) -> Iterator[torch.Tensor]:
    """The inputs of a pass, as a model's preprocessor brings them to its device."""
    cast = BaseDataPreprocessor().cast_data
    for batch in loader:
        yield from cast(batch)["inputs"]


def digests(loader: Any) -> list[str]:
    """SHA-256 of each input of a pass, with its shape."""
    found = []
    for clip in inputs(loader):
        kind = f"{clip.dtype} {tuple(clip.shape)}".encode()
        found.append(hashlib.sha256(kind + clip.contiguous().numpy().tobytes()).hexdigest())
    return found


def differing(stock: Any, ours: Any) -> int:
    """How many inputs the two give differently in a first pass.

    decord gives another frame for the last one of a video, seldom, and the right one when it is asked again: what
    differs must be the same in one of a few more passes of stock.
    """
    wanted = digests(ours)
    left, first = set(range(len(wanted))), None
    for _ in range(PASSES_OF_STOCK):
        found = digests(stock)
        assert len(found) == len(wanted), "both give as many inputs"
        left = {number for number in left if found[number] != wanted[number]}
        first = len(left) if first is None else first
        if not left:
            return first
    raise AssertionError(f"inputs {sorted(left)} are never the same")


def children() -> set[int]:
    """Processes that this one has started."""
    return {child.pid for child in multiprocessing.active_children() if child.pid}


def a_pass(loader: Any, pids: set[int]) -> tuple[float, float]:
    """Seconds that a pass takes, and those of CPU time that its processes and this one use."""

    def used() -> float:
        return cpu_milliseconds(pids).total() / 1000 + time.process_time()

    began, before = time.perf_counter(), used()
    for _ in inputs(loader):
        pass
    return time.perf_counter() - began, used() - before


def measure(case: Case, clips: tuple[str, ...], rounds: int, workers: int) -> dict[str, Any]:
    """Videos a second on both sides: of each round, and their ratio."""
    seconds: dict[str, list[float]] = {side: [] for side in SIDES}
    cpu: dict[str, list[float]] = {side: [] for side in SIDES}
    with a_run(case, clips, workers) as config:
        loaders, pids = {}, {}
        for side in SIDES:
            before = children()
            loaders[side] = a_loader(config, case.stage, side)
            a_pass(loaders[side], set())
            pids[side] = children() - before
        apart = differing(**loaders)
        for number in range(rounds):
            for side in SIDES[:: 1 if number % 2 else -1]:
                wall, used = a_pass(loaders[side], pids[side])
                seconds[side].append(wall)
                cpu[side].append(used)
        loaders.clear()
        gc.collect()  # ends their processes
    return {
        **{f"{side}VideosPerSecond": [round(case.videos / wall, 2) for wall in seconds[side]] for side in SIDES},
        **{f"{side}CpuMsPerVideo": round(1000 * statistics.median(cpu[side]) / case.videos, 1) for side in SIDES},
        **compared(seconds["stock"], seconds["ours"]),
        "inputsThatStockGaveDifferentlyOnce": apart,
    }


def record(rounds: int, workers: int, only: str = "") -> dict[str, Any]:
    """Measure the cases whose name has this, with every kind of video."""
    measured: dict[str, dict[str, Any]] = defaultdict(dict)
    for kind, clips in VIDEOS_OF.items():
        for name, case in CASES.items():
            if only in name:
                measured[kind][name] = found = measure(case, clips, rounds, workers)
                told = f"{found['oursToStock']} times as fast ({found['lowest']} to {found['highest']})"
                print(f"{name}, {kind}: {told}", file=sys.stderr)
    return {"rounds": rounds, "workers": workers, "videos": measured}


def ratios(record: dict[str, Any]) -> dict[str, float]:
    """How many times as fast ours are as stock, by case."""
    cases = ((kind, name, found) for kind, by_name in record["videos"].items() for name, found in by_name.items())
    return {f"{name}, {kind}": found["oursToStock"] for kind, name, found in cases}


def main() -> None:
    """Measure; print the figures, and with ``--record`` write them down."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="passes of each side that count (default: 5)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes that load (default: as cores)")
    parser.add_argument("--only", default="", help="cases whose name has this")
    options = parser.parse_args()
    packages = ("av", "decord", "mmaction2", "mmcv-lite", "numpy", "torch")
    found = recorded(lambda: record(options.rounds, options.workers, options.only), packages)
    tell(found, RESULTS, keep=options.record)


if __name__ == "__main__":
    main()
