"""What is saved by decoding no more of a video than is wanted, once: ours beside MMAction2's own, on the tests' clips.

    python -m bench.decoding [--record]

Both open a video and decode the frames that MMAction2's samplers take in a training or in a test, in turns and either
one first, so that whatever else the machine does falls on both. A clip ten times in a row is there for videos of a
minute and more.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import decord
import numpy as np
from mmaction.datasets.transforms import DecordDecode as StockDecode
from mmaction.datasets.transforms import DecordInit as StockInit
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from mmaction_trainer.runtime.video import DecordDecode, DecordInit

from .measured import RECORDS, arguments, recorded, tell

ROOT = Path(__file__).parents[1]
CLIPS = ROOT / "tests" / "data" / "clips"
TEST = {"test_mode": True}
SAMPLERS: dict[str, dict[str, Any]] = {
    "training, SlowFast 32x2": {"type": "SampleFrames", "clip_len": 32, "frame_interval": 2},
    "training, TimeSformer 8x32": {"type": "SampleFrames", "clip_len": 8, "frame_interval": 32},
    "training, UniFormerV2 uniform 8": {"type": "UniformSample", "clip_len": 8, "num_clips": 1},
    "test, SlowFast 32x2, 10 clips": {
        "type": "SampleFrames",
        "clip_len": 32,
        "frame_interval": 2,
        **TEST,
        "num_clips": 10,
    },
    "test, SlowOnly 8x8, 10 clips": {
        "type": "SampleFrames",
        "clip_len": 8,
        "frame_interval": 8,
        **TEST,
        "num_clips": 10,
    },
    "test, TimeSformer 8x32, 1 clip": {"type": "SampleFrames", "clip_len": 8, "frame_interval": 32, **TEST},
    "test, UniFormerV2 uniform 8, 4 clips": {"type": "UniformSample", "clip_len": 8, **TEST, "num_clips": 4},
    "test, TSM dense 1x1x8, 10 positions": {"type": "DenseSampleFrames", "clip_len": 1, "num_clips": 8, **TEST},
}
LONG = 10
"""Times that a clip is in the long one."""


def lengthened(source: Path, path: Path, times: int) -> Path:
    """Write a clip so many times in a row, as H.264 with a key frame every 250 frames at least, x264's default."""
    frames = decord.VideoReader(str(source))
    height, width, _ = frames[0].shape
    with av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=round(frames.get_avg_fps()))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(times * len(frames)):
            pixels = frames[number % len(frames)].asnumpy()
            target.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        target.mux(stream.encode())
    return path


def decoded(clip: Path, steps: Sequence[BaseTransform], seed: int) -> dict[str, Any]:
    """A sample of which the frames are there that a sampler takes with this seed."""
    np.random.seed(seed)
    results: dict[str, Any] = {"filename": str(clip), "start_index": 0, "modality": "RGB"}
    for step in steps:
        results = step.transform(results)
    return results


def measure(clip: Path, sampler: dict[str, Any], rounds: int) -> dict[str, Any]:
    """Milliseconds of wall and of CPU time, medians, that each takes for a clip."""
    spent: dict[str, list[tuple[float, float]]] = defaultdict(list)
    found: dict[str, dict[str, Any]] = {}
    choose = TRANSFORMS.build(sampler)
    pair = [("stock", (StockInit(), choose, StockDecode())), ("ours", (DecordInit(), choose, DecordDecode()))]
    for number in range(rounds):
        for name, steps in pair if number % 2 else reversed(pair):
            wall, cpu = time.perf_counter(), time.process_time()
            found[name] = decoded(clip, steps, seed=number)
            spent[name].append((1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - cpu)))
        assert np.array_equal(found["stock"]["imgs"], found["ours"]["imgs"]), "the frames are the same"
    medians = {
        name: [statistics.median(column) for column in zip(*times, strict=True)] for name, times in spent.items()
    }
    numbers = found["ours"]["frame_inds"]
    return {
        "framesAsked": numbers.size,
        "framesApart": len(np.unique(numbers)),
        **{f"{name}Ms": round(wall, 1) for name, (wall, _) in medians.items()},
        **{f"{name}CpuMs": round(cpu, 1) for name, (_, cpu) in medians.items()},
        "cpuOfStockToOurs": round(medians["stock"][1] / medians["ours"][1], 2),
    }


def record(rounds: int) -> dict[str, Any]:
    """Measure every clip with every sampler."""
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        long = lengthened(CLIPS / "test.mp4", Path(folder) / f"test.mp4 x {LONG}.mp4", LONG)
        for clip in (*sorted(CLIPS.iterdir()), long):
            print(clip.name, file=sys.stderr)
            found[clip.name] = {name: measure(clip, sampler, rounds) for name, sampler in SAMPLERS.items()}
    return {"rounds": rounds, "clips": found}


def main() -> None:
    """Measure; print the figures, and with ``--record`` write them down."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="times that each decodes a clip (default: 10)")
    options = parser.parse_args()
    found = recorded(lambda: record(options.rounds), ("av", "decord", "mmaction2", "numpy"))
    tell(found, RECORDS / "decoding.json", keep=options.record)


if __name__ == "__main__":
    main()
