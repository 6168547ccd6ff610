"""What an attempt leaves in storage, laid out as users find it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.errors import Failure
from mmaction_trainer.contract.result import FailureReport, Result, Score
from mmaction_trainer.contract.run import Protocol, Run
from mmaction_trainer.storage import open_storage, publish

STAGING = "results"


def begin(run: Run, run_dir: Path) -> None:
    """Write config and run.json: storage that refuses is found before a rank starts.

    Raises:
        StorageFailure: it refuses.
    """
    storage = open_storage(run.results_uri)
    for name in (layout.CONFIG, layout.RUN):
        storage.write(name, (run_dir / name).read_bytes())


def succeed(run: Run, run_dir: Path) -> Result:
    """Publish everything, the manifest last, and say what it holds.

    Raises:
        StorageFailure: storage does not confirm what was sent; there is no manifest then.
    """
    result = summary(run, run_dir)
    folder = stage(run_dir)
    digest = publish(open_storage(run.results_uri), folder, files_below(folder), run.job, json.loads(result.to_json()))
    return result.model_copy(update={"manifest_sha256": digest})


def fail(run: Run, run_dir: Path, failure: Failure) -> Result:
    """Leave checkpoints and logs, without a manifest, and say what went wrong."""
    folder = stage(run_dir)
    try:
        storage = open_storage(run.results_uri)
        for path in files_below(folder):
            storage.upload(folder / path, path)
    except Failure as second:
        print(f"results not kept in storage: {second}", flush=True)
    return outcome(run, "Failed", error=FailureReport.of(failure))


def summary(run: Run, run_dir: Path) -> Result:
    """The scores of the best checkpoint, from the metrics that the ranks recorded."""
    lines = [json.loads(line) for line in (run_dir / layout.METRICS).read_text().splitlines()]
    validations = [line for line in lines if line["stage"] == "val"]
    tests = [line for line in lines if line["stage"] == "test"]
    world = [line["worldSize"] for line in lines if line["stage"] == "start"]
    best = max(validations, key=lambda line: line["top1"], default=None)
    return outcome(
        run,
        "Succeeded",
        world_size=world[-1],
        val=score(best, run.val_protocol),
        test=score(tests[-1] if tests else None, run.test_protocol),
        checkpoint=next((f"checkpoints/{path.name}" for path in (run_dir / layout.WORK).glob("best_*.pth")), None),
    )


def score(line: dict[str, Any] | None, protocol: Protocol) -> Score | None:
    """A line of metrics as a score by a protocol."""
    return Score.model_validate({**line, "protocol": protocol}) if line else None


def outcome(run: Run, outcome: Any, *, world_size: int | None = None, **rest: Any) -> Result:
    """A result with what is known of every attempt; ``world_size`` as the ranks saw it, else as it was meant."""
    return Result(
        outcome=outcome,
        results_uri=run.results_uri,
        port=run.rendezvous.port,
        world_size=world_size or run.world.size,
        **rest,
    )


def stage(run_dir: Path) -> Path:
    """Lay out the results as hard links: config.py, run.json, checkpoints/, metrics.jsonl, logs/, data/."""
    folder = run_dir / STAGING
    for source, name in layout_of(run_dir):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        os.link(source, target)
    return folder


def layout_of(run_dir: Path) -> list[tuple[Path, str]]:
    """Pairs of a file in the run directory and its path in the results."""
    plain = [layout.CONFIG, layout.RUN, layout.METRICS, *layout.LISTS.values(), layout.CLASSES]
    pairs = [(run_dir / name, name) for name in plain if (run_dir / name).exists()]
    work = run_dir / layout.WORK
    pairs += [(path, f"checkpoints/{path.name}") for path in work.glob("*.pth")]
    pairs += [(path, f"logs/{path.relative_to(work)}") for path in work.rglob("*") if path.suffix in (".log", ".json")]
    pairs += [(path, f"logs/{path.name}") for path in (run_dir / layout.LOGS).glob("*.log")]
    return pairs


def files_below(folder: Path) -> list[str]:
    """Paths of all files, relative to the folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
