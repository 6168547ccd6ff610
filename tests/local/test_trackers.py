"""A run that TensorBoard, W&B and MLflow are told of, read back with their own readers."""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Run as MLflowRun
from mlflow.tracking import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from wandb.proto.wandb_internal_pb2 import Record

from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.errors import Interrupted
from mmaction_trainer.contract.progress import Progress
from mmaction_trainer.storage import open_storage, read_manifest

from .conftest import Machine
from .wandb_file import records

Series = dict[str, list[tuple[int, float]]]
TWO_EPOCHS = {"training": {"epochs": 2}}


def of_the_record(place: Path) -> dict[str, float]:
    """What every tracker has to say, from the run's own record: accuracies of the last validation and of the test."""
    lines = [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
    names = {"acc/top1": "top1", "acc/top5": "top5", "acc/mean1": "meanClass"}
    last = {line["stage"]: line for line in lines}
    return {f"{stage}/{name}": last[stage][key] for stage in ("val", "test") for name, key in names.items()}


def in_tensorboard(folder: Path) -> Series:
    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(each.step, each.value) for each in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def in_mlflow(uri: str, experiment: str) -> tuple[MLflowRun, Series]:
    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    assert found
    (run,) = client.search_runs([found.experiment_id])
    histories = {name: client.get_metric_history(run.info.run_id, name) for name in run.data.metrics}
    return run, {name: [(each.step, each.value) for each in history] for name, history in histories.items()}


def in_wandb(folder: Path) -> tuple[Record, dict[str, Any], Series]:
    """The run that W&B kept offline, its config, and its numbers."""
    (file,) = folder.glob("offline-run-*/*.wandb")
    series: Series = {}
    config: dict[str, Any] = {}
    for record in records(file):
        match record.WhichOneof("record_type"):
            case "run":
                begun = record
                config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
            case "history":
                row = {item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
                for name, value in row.items():
                    series.setdefault(name, []).append((int(row["_step"]), value))
    return begun, config, series


def check_series(series: Series, place: Path) -> None:
    """Training and validation stand over the same iterations, the test at their end."""
    assert [step for step, _ in series["val/acc/top1"]] == [2, 4]
    assert [step for step, _ in series["train/loss"]] == [2, 4]
    assert [step for step, _ in series["test/acc/top1"]] == [4]
    for name, value in of_the_record(place).items():
        assert series[name][-1][1] == pytest.approx(value), name
    assert math.isfinite(series["train/loss"][-1][1])
    assert {"train/lr", "train/top1_acc"} <= series.keys()


def test_all_three_are_told_of_training_validations_and_test(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = f"file:{tmp_path / 'mlflow'}"
    machine.environment |= {
        "WANDB_MODE": "offline",
        "WANDB_API_KEY": "k" * 40,
        "MLFLOW_TRACKING_URI": store,
        "MLFLOW_ALLOW_FILE_STORE": "true",
    }
    code, output = machine.run("run", machine.job(trackers=["tensorboard", "wandb", "mlflow"], **TWO_EPOCHS))
    assert code == 0, output
    (place,) = machine.results.glob("default/small/*")
    listed = {entry.path for entry in read_manifest(open_storage(str(place))).objects}
    assert {path for path in listed if path.startswith("tensorboard/events.")}

    check_series(in_tensorboard(place / "tensorboard"), place)

    begun, config, series = in_wandb(place / "wandb")
    check_series(series, place)
    assert (begun.run.project, begun.run.display_name) == ("default", "small")
    assert config["trainjob"]["job"]["uid"] == place.name
    assert config["optim_wrapper"]["optimizer"]["lr"] == pytest.approx(0.01)
    assert not [path for path in place.rglob("*") if path.is_file() and b"k" * 40 in path.read_bytes()], "its key"

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    run, series = in_mlflow(store, "default")
    check_series(series, place)
    assert (run.info.run_name, run.info.status) == ("small", "FINISHED")
    assert run.data.params["job.uid"] == place.name


def test_a_training_that_is_stopped_leaves_what_was_told(
    machine: Machine, wait_until: Callable[[Callable[[], bool]], None]
) -> None:
    machine.environment["WANDB_MODE"] = "offline"
    job = machine.job(trackers=["tensorboard", "wandb"], training={"epochs": 500, "valInterval": 500})
    process = machine.start("run", job)
    wait_until(lambda: any((Progress.read(path).epoch or 0) > 2 for path in machine.state.rglob(layout.PROGRESS)))
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == Interrupted.exit_code, output
    (place,) = machine.results.glob("default/small/*")
    told = in_tensorboard(place / "tensorboard")["train/loss"]
    assert len(told) >= 2
    _, _, series = in_wandb(place / "wandb")
    assert series["train/loss"] == [(step, pytest.approx(value)) for step, value in told]
    (file,) = (place / "wandb").glob("offline-run-*/*.wandb")
    assert [record.exit.exit_code for record in records(file) if record.HasField("exit")] == [1]
