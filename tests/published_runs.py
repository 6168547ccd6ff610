"""Results of runs for tests: manifests as trainings publish them, in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mmaction_trainer.contract.result import Complexity, DataReport, ModelReport, Result, Score
from mmaction_trainer.contract.run import JobIdentity, Protocol
from mmaction_trainer.storage import open_storage, publish

SLOWFAST = "slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb"
VAL = Protocol(clips=1, crops=1, short_side=256, crop_size=224)


def views(clips: int, crops: int) -> Protocol:
    return Protocol(clips=clips, crops=crops, short_side=256, crop_size=256)


def data_of(sha256: str) -> DataReport:
    """UCF101, as a manifest of an earlier version tells it."""
    return DataReport(sha256=sha256, format="ucf101", split=1, classes=101, videos={"train": 9537, "test": 3783})


def leave(
    root: Path, name: str, top1: float, protocol: Protocol, *, data: str | DataReport = "d" * 64, **more: Any
) -> None:
    """Results of a run, as a training leaves them."""
    uid = f"uid-of-{name}"
    told: dict[str, Any] = {
        "val": Score(protocol=VAL, top1=0.9498, top5=0.9955, epoch=20),
        "test": Score(protocol=protocol, top1=top1, top5=0.9952, mean_class=0.96, videos=3783),
        "model": ModelReport(recipe=SLOWFAST, frames="32x2x1", pretrained="k400.pth", epochs=100, device="cuda"),
        "data": data if isinstance(data, DataReport) else data_of(data),
        "complexity": Complexity(parameters=33_790_000, flops_per_view=27_816_000_000, views=30),
        "seconds": 7200.0,
        **more,
    }
    place = open_storage(str(root / "team-a" / name / uid))
    result = Result(outcome="Succeeded", results_uri=place.uri, port=1, world_size=4, **told)
    job = JobIdentity(namespace="team-a", name=name, uid=uid)
    (root / "empty").mkdir(parents=True, exist_ok=True)
    publish(place, root / "empty", [], job, json.loads(result.to_json()))
