"""How long a training waits for its checkpoints: written beside it, and in its loop as MMEngine does.

    python -m bench.checkpoints [--record]

A loop of steps saves once in each round, in the one way and the other in turns, and once not at all: so that what a
thread takes from the steps is seen too. The checkpoint has the tensors of a model and of its optimizer's momentum.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.runner.checkpoint import save_checkpoint as stock

from mmaction_trainer.runtime.saving import Writer

from .measured import RECORDS, arguments, recorded, tell

MODELS = {"TSM, ResNet-50": 24_300_000, "TimeSformer, ViT-B": 121_700_000}
"""Parameters, of float32: a checkpoint with momentum takes eight bytes for each."""
STEPS, SIZE = 40, 1024

Save = Callable[[dict[str, Any], str], None]


def a_checkpoint(parameters: int) -> dict[str, Any]:
    """Tensors of a million values, in the shape of a checkpoint."""
    parts = range(-(-parameters // 1_000_000))
    weights = {f"layers.{part}.weight": torch.rand(1000, 1000) for part in parts}
    momentum = {part: {"momentum_buffer": torch.rand(1000, 1000)} for part in parts}
    return {"meta": {"epoch": 1, "iter": 10}, "state_dict": weights, "optimizer": {"state": momentum}}


def a_round(checkpoint: dict[str, Any], save: Save | None, path: Path) -> tuple[float, float]:
    """Seconds of a loop of steps that saves after its first, and of these those that saving took."""
    left, waited = torch.rand(SIZE, SIZE), 0.0
    began = time.perf_counter()
    for number in range(STEPS):
        left = torch.nn.functional.normalize(left @ left)
        if save and number == 0:
            before = time.perf_counter()
            save(checkpoint, str(path))
            waited = time.perf_counter() - before
    return time.perf_counter() - began, waited


def measure(parameters: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Medians of the seconds that a loop waits, and that it takes, for a checkpoint of so many parameters."""
    checkpoint, writer = a_checkpoint(parameters), Writer()
    ways: dict[str, Save | None] = {"none": None, "stock": stock, "ours": writer.save}
    loops, waits = defaultdict(list), defaultdict(list)
    for number in range(rounds + 1):
        for name, save in list(ways.items())[:: 1 if number % 2 else -1]:
            loop, wait = a_round(checkpoint, save, folder / f"{name}.pth")
            writer.wait()
            if number:  # the first warms up
                loops[name].append(loop)
                waits[name].append(wait)
    held = [torch.load(folder / f"{name}.pth") for name in ("stock", "ours")]
    assert all(torch.equal(a, b) for a, b in zip(*(each["state_dict"].values() for each in held), strict=True))
    median = {name: statistics.median(waits[name]) for name in ("stock", "ours")}
    return {
        "megabytes": round((folder / "ours.pth").stat().st_size / 1e6),
        "stockWaitSeconds": [round(second, 3) for second in sorted(waits["stock"])],
        "oursWaitSeconds": [round(second, 3) for second in sorted(waits["ours"])],
        "loopSeconds": {name: round(statistics.median(times), 3) for name, times in loops.items()},
        "waitOfStockToOurs": round(median["stock"] / median["ours"], 1),
        "secondsBetweenSavesForOnePercent": round(100 * median["ours"], 1),
    }


def record(rounds: int) -> dict[str, Any]:
    """Measure every model."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        found = {name: measure(parameters, rounds, Path(folder)) for name, parameters in MODELS.items()}
    return {"rounds": rounds, "models": found}


def main() -> None:
    """Measure; print the figures, and with ``--record`` write them down."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="checkpoints of each kind (default: 5)")
    options = parser.parse_args()
    found = recorded(lambda: record(options.rounds), ("mmengine", "torch"))
    tell(found, RECORDS / "checkpoints.json", keep=options.record)


if __name__ == "__main__":
    main()
