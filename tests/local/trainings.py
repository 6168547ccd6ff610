"""A training that a test disturbs, and what it has to come to: what one that was left alone comes to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from mmaction_trainer.contract.checkpoints import INDEX, PREFIX, StoredCheckpoints
from mmaction_trainer.storage import MANIFEST, open_storage, read_manifest, verify

from .conftest import Machine

ITERATIONS = 6
"""Of an epoch, on two ranks."""


def training(epochs: int) -> dict[str, Any]:
    """What a job says of its training: a checkpoint after every second iteration."""
    return {"epochs": epochs, "batchSizePerGPU": 1, "checkpointIterations": 2, "workers": 1}


def left_alone(root: Path, dataset: Path, epochs: int) -> Path:
    """The results of a training that nothing disturbed."""
    machine = Machine(root, dataset)
    machine.be_alone()
    code, output = machine.run("run", machine.job(training=training(epochs)))
    assert code == 0, output
    (place,) = machine.results.glob("default/small/*")
    return place


def check_same(place: Path, alone: Path) -> None:
    """The same curve, scores and weights, bit for bit; and nothing of the attempts that failed beside them."""
    assert curve(place) == curve(alone)
    mine, theirs = weights(place), weights(alone)
    assert mine.keys() == theirs.keys()
    assert not [name for name in mine if not torch.equal(mine[name], theirs[name])]
    storage = open_storage(str(place))
    assert verify(storage) == []
    listed = {entry.path for entry in read_manifest(storage).objects}
    assert {stored.key for stored in storage.list()} == {MANIFEST, *listed}


def curve(place: Path) -> list[tuple[Any, ...]]:
    """What a run has on record of its training and validations."""
    lines = [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
    return [
        tuple((name, value) for name, value in sorted(line.items()) if name not in ("seconds", "videos"))
        for line in lines
        if line["stage"] in ("train", "val", "test")
    ]


def weights(place: Path) -> dict[str, torch.Tensor]:
    """Those that a run ended with."""
    last = max(place.glob("checkpoints/epoch_*.pth"), key=lambda path: int(path.stem.rpartition("_")[2]))
    return dict(torch.load(last, weights_only=False)["state_dict"])


def furthest(results: Path) -> tuple[int, int]:
    """Epochs and iterations of the checkpoint that is furthest in storage."""
    indexes = [StoredCheckpoints.read(path) for path in results.glob(f"default/small/*/{PREFIX}/*/{INDEX}")]
    return max(((one.epoch, one.iteration) for index in indexes for one in index.checkpoints), default=(0, 0))
