"""What an attempt leaves in storage, laid out as users find it."""

from __future__ import annotations

import hashlib
import json
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmaction_trainer import evaluate
from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.checkpoints import PREFIX
from mmaction_trainer.contract.errors import StorageFailure
from mmaction_trainer.contract.result import Complexity, DataReport, FailureReport, ModelReport, Result, Score
from mmaction_trainer.contract.run import Protocol, Run
from mmaction_trainer.contract.skipping import NOTED, SKIPPED, Skipped, SkippedVideos
from mmaction_trainer.data import Prepared
from mmaction_trainer.evaluate import Predictions, Provenance
from mmaction_trainer.storage import MANIFEST, Storage, open_storage, publish, read_manifest, results_at
from mmaction_trainer.storage.checkpoints import forget
from mmaction_trainer.storage.disk import digest, read_chunks

from .stacks import PREFIX as STACKS

CHECKPOINTS = "checkpoints/"
STAGING, TEST, REPORT = "results", "test", "report"
SCORES = Path(layout.SCORES).name
"""What the ranks left; the tables made of it are what a user finds."""

PROBE = ".preflight"
"""Name of an object that no run leaves: it is written, read back and deleted."""


def published(run: Run) -> Result | None:
    """What an attempt before this one came to, if it published its results; it may have been killed before it said so.

    Raises:
        StorageFailure: storage does not say whether there is anything.
    """
    storage = open_storage(run.results_uri)
    left = results_at(storage)
    if left.manifest is None or not left.complete or left.manifest.job.uid != run.job.uid:
        return None
    digest = hashlib.sha256(storage.read(MANIFEST)).hexdigest()
    said = Result.model_validate_json(json.dumps(left.manifest.summary))
    return said.model_copy(update={"manifest_sha256": digest})


def begin(run: Run, run_dir: Path) -> None:
    """Write config and run.json: storage that refuses is found before a rank starts.

    Raises:
        StorageFailure: it refuses.
    """
    storage = open_storage(run.results_uri)
    clear(storage)
    storage.delete(MANIFEST)  # of what is no longer whole
    for name in (layout.CONFIG, layout.RUN):
        storage.write(name, (run_dir / name).read_bytes())


def try_storage(run: Run) -> None:
    """Write an object where results go, read it back, and delete it: nothing is left.

    Publishing deletes an old manifest first: to be refused that after a training would be late.

    Raises:
        StorageFailure: storage refuses one of these, or does not hold what was written.
    """
    above, _, own = run.results_uri.rpartition("/")  # from above, so that no empty folder is left either
    storage, probe, content = open_storage(above), f"{own}/{PROBE}", run.to_json().encode()
    storage.write(probe, content)
    if storage.read(probe) != content:
        raise StorageFailure(f"{storage.uri}/{probe}", "does not hold what was written", do="Check the storage.")
    storage.delete(probe)


def clear(storage: Storage) -> None:
    """Remove what attempts that were killed left half sent. Nothing is raised: not every key may see it."""
    try:
        storage.clear_unfinished()
    except StorageFailure as failure:
        print(f"warning: what killed uploads left in {storage.uri} is not removed: {failure}", flush=True)


def describe(run: Run, run_dir: Path, prepared: Prepared) -> Result:
    """Say what the ranks came to, and write tables and a report of it.

    Args:
        prepared: the data set that was trained or tested on.
    """
    result = summary(run, run_dir, prepared)
    describe_test(run, run_dir, result)
    return result


def send(run: Run, run_dir: Path, result: Result) -> str:
    """Publish everything, the manifest last, and return the manifest's sha256.

    Raises:
        StorageFailure: storage does not confirm what was sent; there is no manifest then.
    """
    folder = stage(run_dir)
    return publish(open_storage(run.results_uri), folder, files_below(folder), run.job, json.loads(result.to_json()))


def clear_away(run: Run, patiently: Callable[[Callable[[], None]], None]) -> None:
    """Delete what attempts left that are not in the manifest: checkpoints to go on from, and logs of those that failed.

    Nothing is raised: the results are there.
    """
    storage = open_storage(run.results_uri)
    clear(storage)
    try:
        patiently(lambda: leave_what_is_listed(storage))
    except Exception as error:
        print(f"warning: what attempts left beside {run.results_uri}/{MANIFEST} stays: {error}", flush=True)


def leave_what_is_listed(storage: Storage) -> None:
    """Delete what the manifest does not name; lists of checkpoints before these."""
    listed = {MANIFEST, *(entry.path for entry in read_manifest(storage).objects)}
    forget(storage.child(PREFIX))
    for key in [stored.key for stored in storage.list() if stored.key not in listed]:
        storage.delete(key)


def keep(run: Run, run_dir: Path) -> None:
    """Leave the record and logs of a failed attempt, without a manifest, as far as storage takes them.

    Nothing is raised: the attempt has failed already, and not of this.
    """
    try:
        folder = stage(run_dir)
        storage = open_storage(run.results_uri)
        for path in files_below(folder):
            if not path.startswith(CHECKPOINTS):
                storage.upload(folder / path, path)
    except Exception as second:
        print(f"results not kept in storage: {second}", flush=True)


def describe_test(run: Run, run_dir: Path, result: Result) -> None:
    """Write what the test found beside its score: classes, confusions, calibration, every video; and the report.

    Nothing is raised: the score stands, and a training is not lost for a table.
    """
    try:
        from mmaction_trainer import report  # it draws: a second that only the end of a training has to wait for

        of = Provenance(
            protocol=run.test_protocol,
            data_sha256=(result.data.tested_sha256 or result.data.sha256) if result.data else "",
            split=run.data.split,
            checkpoint=result.checkpoint or "",
            checkpoint_sha256=result.checkpoint_sha256 or "",
        )
        predictions = Predictions.read(run_dir)
        found = evaluate.write(run_dir / TEST, predictions, of)
        if run.data.media == "videos":
            draw_demo(run_dir, predictions)
        report.write(run_dir / REPORT, run_dir, run, result, found)
    except Exception:
        traceback.print_exc()
        print("warning: the test has a score, and tables or report are missing; see above", flush=True)


def draw_demo(run_dir: Path, predictions: Predictions) -> None:
    """Draw what one video of the test is taken for. Nothing is raised: the report is worth more than a picture."""
    try:
        from mmaction_trainer.report import demo

        demo.draw(run_dir, predictions)
    except Exception:
        traceback.print_exc()
        print(f"warning: {layout.DEMO} is missing, see above", flush=True)


def summary(run: Run, run_dir: Path, prepared: Prepared) -> Result:
    """The scores of what was tested, from the metrics that the ranks recorded."""
    lines = [json.loads(line) for line in (run_dir / layout.METRICS).read_text().splitlines()]
    validations = [line for line in lines if line["stage"] == "val"]
    tests = [line for line in lines if line["stage"] == "test"]
    world = [line["worldSize"] for line in lines if line["stage"] == "start"]
    best = max(validations, key=lambda line: line["top1"], default=None)
    checkpoint, tested = tested_of(run, run_dir)
    complexity = run_dir / layout.COMPLEXITY
    return outcome(
        run,
        "Succeeded",
        world_size=world[-1],
        val=score(best, run.val_protocol) if run.val_protocol else None,
        test=score(tests[-1] if tests else None, run.test_protocol),
        checkpoint=checkpoint,
        checkpoint_sha256=digest(read_chunks(tested))[1] if tested else None,
        model=ModelReport(
            recipe=run.model,
            frames=run.frames,
            pretrained=run.pretrained.name if run.pretrained else None,
            epochs=run.epochs,
            device=run.world.device,
        ),
        data=data_report(run, run_dir, prepared),
        complexity=Complexity.read(complexity) if complexity.exists() else None,
        seconds=tests[-1].get("seconds") if tests else None,
    )


def tested_of(run: Run, run_dir: Path) -> tuple[str | None, Path | None]:
    """The checkpoint that was tested, and its file here.

    Of a training it is the best, or the newest where no validation chose one, by its path in the results; else the
    weights that the run was told of, by their URI.
    """
    if not run.trains and run.pretrained:
        return run.pretrained.uri, run_dir / layout.PRETRAINED / run.pretrained.name
    work = run_dir / layout.WORK
    epochs = sorted(work.glob("epoch_*.pth"), key=lambda path: int(path.stem.rpartition("_")[2]))
    newest = epochs[-1] if epochs else None
    tested = next(work.glob("best_*.pth"), newest)
    return (f"{CHECKPOINTS}{tested.name}" if tested else None), tested


def data_report(run: Run, run_dir: Path, prepared: Prepared) -> DataReport:
    """The data set that numbers are of."""
    return DataReport(
        sha256=prepared.digest,
        tested_sha256=prepared.tested,
        format=run.data.format,
        split=run.data.split,
        classes=run.data.num_classes,
        videos=dict(prepared.counts),
        skipped=len(skipped(run_dir)) if run.data.corrupt == "skip" else None,
    )


def skipped(run_dir: Path) -> tuple[Skipped, ...]:
    """The corrupt videos that the ranks of this node went on without."""
    return tuple(sorted(map(Skipped.read, (run_dir / NOTED).glob("*.json")), key=lambda each: each.video))


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


def of_nothing_known(node_rank: int, error: FailureReport) -> Result:
    """The result of an attempt that failed before it knew what it was told."""
    return Result(outcome="Failed", results_uri="", port=0, world_size=0, node_rank=node_rank, error=error)


def bring_records(run: Run, run_dir: Path) -> None:
    """Have here what the trackers of earlier attempts left, so that the results show all of a training's course.

    Raises:
        StorageFailure: storage does not give it.
    """
    storage = open_storage(run.results_uri)
    for folder in (layout.TENSORBOARD, layout.MLRUNS, layout.WANDB):
        for stored in list(storage.list(folder)):
            storage.download(stored.key, run_dir / stored.key)


def bring_stacks(run: Run, run_dir: Path) -> None:
    """Have here where the ranks of earlier attempts stood that hung: what failed once may fail again at the same place.

    Raises:
        StorageFailure: storage does not give it.
    """
    storage = open_storage(run.results_uri)
    for stored in list(storage.list("logs")):
        if stored.key.startswith(f"logs/{STACKS}"):
            storage.download(stored.key, run_dir / layout.LOGS / Path(stored.key).name)


def stage(run_dir: Path) -> Path:
    """Lay out the results as hard links, as users find them."""
    if found := skipped(run_dir):
        SkippedVideos(videos=found).write(run_dir / SKIPPED)
    folder = run_dir / STAGING
    for source, name in layout_of(run_dir):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        os.link(source, target)
    return folder


def layout_of(run_dir: Path) -> list[tuple[Path, str]]:
    """Pairs of a file in the run directory and its path in the results."""
    plain = [layout.CONFIG, layout.RUN, layout.METRICS, layout.DEMO, *layout.LISTS.values(), layout.CLASSES, SKIPPED]
    pairs = [(run_dir / name, name) for name in plain if (run_dir / name).exists()]
    work = run_dir / layout.WORK
    pairs += [(path, f"{CHECKPOINTS}{path.name}") for path in work.glob("*.pth")]
    pairs += [(path, f"logs/{path.relative_to(work)}") for path in work.rglob("*") if path.suffix in (".log", ".json")]
    pairs += [(path, f"logs/{path.name}") for path in (run_dir / layout.LOGS).glob("*.log")]
    pairs += [(path, f"{REPORT}/{path.name}") for path in (run_dir / REPORT).glob("*")]
    pairs += [(path, f"{TEST}/{path.name}") for path in (run_dir / TEST).glob("*") if path.name != SCORES]
    return pairs + [(path, str(path.relative_to(run_dir))) for path in of_trackers(run_dir)]


def of_trackers(run_dir: Path) -> list[Path]:
    """What trackers left: event files, W&B's record of the run, and a store of MLflow's that is a folder.

    W&B's logs and links are its own; `wandb sync` needs neither.
    """
    folders = [run_dir / layout.TENSORBOARD, run_dir / layout.MLRUNS]
    runs = [path for run in (run_dir / layout.WANDB).glob("*run-*") for path in (*run.glob("*.wandb"), run / "files")]
    found = [path for place in (*folders, *runs) for path in (place.rglob("*") if place.is_dir() else [place])]
    return [path for path in found if path.is_file() and not path.is_symlink()]


def files_below(folder: Path) -> list[str]:
    """Paths of all files, relative to the folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
