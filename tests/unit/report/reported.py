"""A report of a job that was tested, for tests: real scores and a run directory, without a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mmaction_trainer.contract.result import ModelReport, Result
from mmaction_trainer.contract.run import DataSource, JobIdentity, Protocol, Rendezvous, Run, World
from mmaction_trainer.evaluate import Predictions, measure
from mmaction_trainer.report import write

HOSTILE = "</title><script>alert(1)</script>"
PROTOCOL = Protocol(clips=10, crops=3)
LINES = """\
{"stage": "start", "worldSize": 2, "epochs": 2}
{"stage": "train", "epoch": 1, "iteration": 5, "step": 5, "loss": 1.5, "lr": 0.1, "top1": 0.4}
{"stage": "val", "epoch": 1, "top1": 0.5, "top5": 1.0, "meanClass": 0.5}
{"stage": "train", "epoch": 2, "iteration": 5, "step": 10, "lr": 0.01}
"""


def report(
    folder: Path, classes: tuple[str, ...], videos: tuple[str, ...], lines: str = LINES, epochs: int = 2, **told: Any
) -> Path:
    """The report of a job whose first video is taken for the second class, and all others for what they are."""
    labels = np.arange(len(videos)) % len(classes)
    scores = np.full((len(videos), len(classes)), 0.1, np.float32)
    scores[np.arange(len(videos)), labels] = 0.8
    scores[0] = scores[0][::-1]
    found = measure(Predictions(scores, labels, videos, classes))
    (folder / "metrics.jsonl").write_text(lines)
    (folder / "config.py").write_text("model = dict(type='<Recognizer3D>')\n")
    run = Run(
        job=JobIdentity(namespace="team-a", name="small", uid="uid-1"),
        world=World(),
        rendezvous=Rendezvous(port=1),
        data=DataSource(uri="s3://data", format="list", num_classes=len(classes)),
        results_uri="s3://results",
        model="slowfast",
        config_sha256="c" * 64,
        epochs=epochs,
        effective_lr=0.1 if epochs else None,
        val_protocol=Protocol(clips=1, crops=1),
        test_protocol=PROTOCOL,
    )
    model = ModelReport(recipe=run.model, frames="8x8x1", epochs=run.epochs, device="cpu")
    result = Result(outcome="Succeeded", results_uri="s3://results", port=1, world_size=2, model=model, **told)
    write(folder / "report", folder, run, result, found)
    return folder / "report"
