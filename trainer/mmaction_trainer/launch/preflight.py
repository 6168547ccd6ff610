"""What can be found wrong before a GPU is asked for, on a CPU and in a minute."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmaction_trainer import data
from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.checklist import Checklist
from mmaction_trainer.contract.errors import Failure
from mmaction_trainer.contract.preflight import Preflight
from mmaction_trainer.contract.run import Run
from mmaction_trainer.data.fetching import Report

from . import results, trackers, weights

EXAMINATION = "examine.log"


def preflight(run: Run, run_dir: Path, cache: Path, videos: data.Cache, checklist: Checklist, report: Report) -> None:
    """Check results storage, the data set, the checkpoint to start from, and the model.

    It leaves nothing in storage. It fetches a few videos of each split, or all where the job says so, and the
    checkpoint: both into the cache, where a training on this machine finds them.
    """
    with checklist.check("config") as notes:
        notes.said = f"{run.model}, sha256 {run.config_sha256[:12]}"
        notes.warnings += run.warnings
    with examination(run_dir) as process:
        report(0, 0, "trying results storage")
        with checklist.check("storage") as notes:
            results.try_storage(run)
            notes.said = run.results_uri
        with checklist.check("trackers") as notes:
            notes.failures += trackers.faults(run.trackers, os.environ)
            notes.said = ", ".join(run.trackers) or "none"
        if run.pretrained:
            report(0, 0, f"fetching {run.pretrained.name}")
            with checklist.check("weights") as notes:
                path = weights.fetch(run.pretrained, run_dir, cache / "weights")
                notes.said = f"{run.pretrained.name}, {path.stat().st_size / 1e6:,.1f} MB"
        else:
            checklist.skip("weights", why="the model starts from random weights")
        sample = data.check(run.data, videos, checklist, report)
        report(0, 0, "examining the model")
        told = {
            "video": str(sample) if sample else "",
            "weights": checklist.made["weights"].outcome == "passed",
        }
        examined(process, json.dumps(told), run_dir, checklist)


@contextmanager
def examination(run_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that examines the model, for which it imports torch; meanwhile this one looks at data."""
    log = run_dir / layout.LOGS / EXAMINATION
    log.parent.mkdir(exist_ok=True)
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "mmaction_trainer.runtime.examine"],
            cwd=run_dir,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def examined(process: subprocess.Popen[str], told: str, run_dir: Path, checklist: Checklist) -> None:
    """Tell the process what it waits for, and take in what it finds."""
    process.communicate(told)
    path = run_dir / layout.EXAMINED
    if process.returncode == 0:
        checklist.add(Preflight.read(path).checks)
        return
    with checklist.check("model"):
        lines = (run_dir / layout.LOGS / EXAMINATION).read_text(errors="replace").strip().splitlines()
        print("\n".join(lines), file=sys.stderr, flush=True)
        raise Failure(
            "model",
            f"its examination ended with code {process.returncode}: {lines[-1] if lines else 'without a word'}",
            do="The log has the rest.",
        )
