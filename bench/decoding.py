"""What is saved by decoding each frame of a video once: our decoding beside MMAction2's own, on the clips of the tests.

    python -m bench.decoding [--record]

Both decode the frames that MMAction2's samplers take in a test, in turns and either one first, so that whatever else
the machine does falls on both. A clip ten times in a row is there for videos of a minute and more.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import av
import decord
import numpy as np
from mmaction.datasets.transforms import DecordDecode as StockDecode
from mmaction.registry import TRANSFORMS

from mmaction_trainer.runtime.video import DecordDecode

from .measured import machine

ROOT = Path(__file__).parents[1]
CLIPS = ROOT / "tests" / "data" / "clips"
RESULTS = ROOT / "bench" / "results" / "decoding.json"
SAMPLERS: dict[str, dict[str, Any]] = {
    "SlowFast, I3D: 32x2, 10 clips": {"type": "SampleFrames", "clip_len": 32, "frame_interval": 2, "num_clips": 10},
    "SlowOnly: 8x8, 10 clips": {"type": "SampleFrames", "clip_len": 8, "frame_interval": 8, "num_clips": 10},
    "TimeSformer: 8x32, 1 clip": {"type": "SampleFrames", "clip_len": 8, "frame_interval": 32, "num_clips": 1},
    "UniFormerV2: uniform 8, 4 clips": {"type": "UniformSample", "clip_len": 8, "num_clips": 4},
    "TSM: dense 1x1x8, 10 positions": {"type": "DenseSampleFrames", "clip_len": 1, "num_clips": 8},
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


def sampled(clip: Path, sampler: dict[str, Any]) -> dict[str, Any]:
    """A test sample whose video is open and whose frames are chosen."""
    results: dict[str, Any] = {"filename": str(clip), "start_index": 0, "modality": "RGB"}
    for transform in ({"type": "DecordInit"}, {**sampler, "test_mode": True}):
        results = TRANSFORMS.build(transform).transform(results)
    return results


def measure(clip: Path, sampler: dict[str, Any], rounds: int) -> dict[str, Any]:
    """Milliseconds of wall and of CPU time, medians, that each takes for a clip."""
    spent: dict[str, list[tuple[float, float]]] = defaultdict(list)
    frames: dict[str, Any] = {}
    pair = [("stock", StockDecode()), ("ours", DecordDecode())]
    for number in range(rounds):
        for name, transform in pair if number % 2 else reversed(pair):
            results = sampled(clip, sampler)
            numbers = results["frame_inds"]
            wall, cpu = time.perf_counter(), time.process_time()
            frames[name] = transform.transform(results)["imgs"]
            spent[name].append((1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - cpu)))
    assert np.array_equal(frames["stock"], frames["ours"]), "the frames are the same"
    medians = {
        name: [statistics.median(column) for column in zip(*times, strict=True)] for name, times in spent.items()
    }
    return {
        "framesAsked": numbers.size,
        "framesApart": len(np.unique(numbers)),
        **{f"{name}Ms": round(wall, 1) for name, (wall, _) in medians.items()},
        **{f"{name}CpuMs": round(cpu, 1) for name, (_, cpu) in medians.items()},
        "cpuOfStockToOurs": round(medians["stock"][1] / medians["ours"][1], 2),
    }


def main() -> None:
    """Measure every clip with every sampler; print the figures, and with ``--record`` write them down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="times that each decodes a clip (default: 10)")
    parser.add_argument("--record", action="store_true", help=f"write {RESULTS.relative_to(ROOT)}")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    measured: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        long = lengthened(CLIPS / "test.mp4", Path(folder) / f"test.mp4 x {LONG}.mp4", LONG)
        for clip in (*sorted(CLIPS.iterdir()), long):
            print(clip.name, file=sys.stderr)
            measured[clip.name] = {name: measure(clip, sampler, options.rounds) for name, sampler in SAMPLERS.items()}
    print(json.dumps(measured, indent=2))
    record = {
        "date": datetime.now(UTC).date().isoformat(),
        "rounds": options.rounds,
        "machine": machine(),
        "versions": {name: version(name) for name in ("decord", "mmaction2", "numpy")},
        "loadBefore": load,
        "clips": measured,
    }
    if options.record:
        RESULTS.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
