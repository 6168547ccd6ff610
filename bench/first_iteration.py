"""How long a training waits for its videos: fetched while it runs, beside all of them fetched first.

    python -m bench.first_iteration [--record]

A data set of real clips lies in S3, behind a proxy that gives each connection so many bytes a second, and nothing of it
is on this machine. Measured is the time from `trainjob run` to the first iteration: as it is, and with the time that it
takes to fetch all videos, over the same connections, plus that of a run which finds them here. They take turns.
"""

from __future__ import annotations

import itertools
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from mmaction_trainer.contract.progress import Progress
from mmaction_trainer.data.cache import Cache
from mmaction_trainer.data.fetching import fetch, home
from mmaction_trainer.storage import open_storage
from tests.clips import a_clip
from tests.cluster.fault_proxy import FaultProxy, start_fault_proxy
from tests.cluster.s3 import S3Server, start_rclone

from .measured import RECORDS, arguments, recorded, tell

URI = "s3://datasets/clips"
TESTED = 12
PORT = 9100
JOB: dict[str, Any] = {
    "apiVersion": "mmaction.dev/v1alpha1",
    "kind": "TrainJob",
    "metadata": {"name": "first"},
    "spec": {
        "model": {
            "config": "tsm_imagenet-pretrained-mobilenetv2_8xb16-1x1x8-100e_kinetics400-rgb",
            "pretrained": "none",
        },
        "dataset": {"uri": URI, "format": "list", "numClasses": 2},
        "input": {"cropSize": 32},
        "training": {"epochs": 1, "batchSizePerGPU": 4, "workers": 1},
        "resources": {"gpusPerNode": 0},
        "storage": {"uri": "results"},
        "preflight": False,
    },
}


def build(folder: Path, videos: int, tested: int, sources: Sequence[str]) -> None:
    """Write a data set of so many clips, each with bytes of its own; of the first ones the test is made."""
    names = [f"{number:04}.mp4" for number in range(videos)]
    (folder / "videos").mkdir(parents=True)
    for name, source in zip(names, itertools.cycle(sources), strict=False):
        (folder / "videos" / name).write_bytes(a_clip(name, source))
    lines = [f"{name} {at % 2}\n" for at, name in enumerate(names)]
    (folder / "train.txt").write_text("".join(lines[tested:]))
    (folder / "val.txt").write_text("".join(lines[:tested]))


@contextmanager
def slow(server: S3Server, proxy: FaultProxy, rate: int) -> Iterator[dict[str, str]]:
    """The environment of a process whose connections to the server have ``rate`` KB/s each."""
    link = proxy.link("slow", server.endpoint.removeprefix("http://"), PORT)
    link.add("bandwidth", rate=rate)
    yield server.environment() | {"AWS_ENDPOINT_URL": f"http://{link.endpoint}"}
    link.remove()


def first_iteration(folder: Path, environment: dict[str, str]) -> float:
    """Seconds from the start of a run to its first iteration; it is stopped then."""
    (folder / "job.yaml").write_text(yaml.safe_dump(JOB))
    places = {f"TRAINJOB_{name.upper()}": str(folder / name) for name in ("leases", "state", "cache")}
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", "from mmaction_operator.cli import main; main()", "run", "job.yaml", "--grace=0"],
        env={**os.environ, **environment, **places},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not any(trains(path) for path in folder.glob("state/**/progress.json")):
        assert process.poll() is None, f"the run ended: see {folder}"
        time.sleep(0.02)
    seconds = time.monotonic() - began
    process.send_signal(signal.SIGINT)
    process.wait()
    return seconds


def trains(path: Path) -> bool:
    """Whether a run has done an iteration."""
    progress = Progress.read(path)
    return progress.stage == "Training" and bool(progress.iteration)


def fetch_all(folder: Path) -> float:
    """Seconds to have all videos here."""
    storage, cache = open_storage(URI), Cache(folder / "cache" / "data")
    files = {stored.key: stored for stored in storage.list("videos")}
    began = time.monotonic()
    fetch(storage, files, home(storage, cache.root), cache, lambda done, total, what: None)
    cache.close()
    return time.monotonic() - began


def measure(rounds: int, videos: int, rate: int) -> dict[str, Any]:
    """Seconds of each round, both ways."""
    found: dict[str, list[float]] = {"whileItRuns": [], "fetchAll": [], "withAllHere": []}
    with tempfile.TemporaryDirectory() as top:
        build(Path(top) / "buckets" / "datasets" / "clips", videos, TESTED, ("part_0.mp4",))
        with start_rclone(Path(top) / "buckets") as server, start_fault_proxy() as proxy:
            for number in range(rounds):
                cold, warm = Path(top) / f"cold-{number}", Path(top) / f"warm-{number}"
                cold.mkdir()
                warm.mkdir()
                with slow(server, proxy, rate) as environment:
                    os.environ.update(environment)
                    found["whileItRuns"].append(first_iteration(cold, environment))
                    found["fetchAll"].append(fetch_all(warm))
                    found["withAllHere"].append(first_iteration(warm, environment))
                print({name: round(values[-1], 1) for name, values in found.items()}, file=sys.stderr)
    medians = {name: statistics.median(values) for name, values in found.items()}
    first = [fetching + run for fetching, run in zip(found["fetchAll"], found["withAllHere"], strict=True)]
    return {
        "seconds": {name: [round(value, 1) for value in values] for name, values in found.items()},
        "whileItRuns": round(medians["whileItRuns"], 1),
        "allFirst": round(statistics.median(first), 1),
        "allFirstToWhileItRuns": round(statistics.median(first) / medians["whileItRuns"], 2),
    }


def main() -> None:
    """Measure; print the figures, and with ``--record`` write them down."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="times that each is measured (default: 3)")
    parser.add_argument("--videos", type=int, default=240, help="clips of 0.3 MB (default: 240)")
    parser.add_argument("--rate", type=int, default=50, help="KB/s of each of 16 connections (default: 50)")
    options = parser.parse_args()

    def record() -> dict[str, Any]:
        found = measure(options.rounds, options.videos, options.rate)
        return {"videos": options.videos, "kilobytesASecondOfAConnection": options.rate, **found}

    tell(recorded(record), RECORDS / "first-iteration.json", keep=options.record)


if __name__ == "__main__":
    main()
