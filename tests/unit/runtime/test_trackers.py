"""What MMEngine's visualizer tells W&B and MLflow, and what it costs a training when they do not listen."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Run as MLflowRun
from mlflow.tracking import MlflowClient

from mmaction_trainer.contract import run as layout
from mmaction_trainer.runtime import trackers
from tests.run_folders import a_run

NOWHERE = "http://127.0.0.1:9"
MLFLOW = {"type": "MLflowTracker", "experiment": "team-a", "run": "small"}
WANDB = {"type": "WandbTracker", "project": "team-a", "run": "small"}
_names = itertools.count()

Visualizing = Callable[..., Any]


@pytest.fixture
def without_wandb() -> Iterator[None]:
    """No process of W&B before the test, and none after it: every child of this process would find and use it."""
    import wandb

    wandb.teardown()
    yield
    wandb.teardown()
    os.environ.pop("WANDB_SERVICE", None)


@pytest.fixture
def visualizing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Visualizing:
    """Makes a visualizer with these backends, in a run directory; MLflow's server is a folder there."""
    from mmengine.config import Config
    from mmengine.visualization import Visualizer

    monkeypatch.chdir(tmp_path)
    a_run("uid-1", port=1).write(Path(layout.RUN))
    environment = {
        **trackers.VARIABLES,
        "MLFLOW_TRACKING_URI": f"file:{tmp_path}/store",
        "MLFLOW_ALLOW_FILE_STORE": "true",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def make(*backends: dict[str, Any]) -> Any:
        made = Visualizer(f"visualizer-{next(_names)}", vis_backends=[dict(each) for each in backends], save_dir="work")
        made.add_config(Config({"model": {"type": "Recognizer3D"}}))
        return made

    return make


def runs(experiment: str = "team-a") -> list[MLflowRun]:
    client = MlflowClient(f"file:{Path.cwd()}/store")
    found = client.get_experiment_by_name(experiment)
    return list(client.search_runs([found.experiment_id])) if found else []


def test_training_and_test_are_one_run_though_mmengine_closes_it_in_between(visualizing: Visualizing) -> None:
    visualizer = visualizing(MLFLOW)
    with trackers.telling(visualizer):
        visualizer.add_scalars({"train/loss": 1.0}, step=5)
        visualizer.close()
        visualizer.add_scalars({"test/acc/top1": 0.5}, step=10)
        visualizer.close()
    (run,) = runs()
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"train/loss": 1.0, "test/acc/top1": 0.5}
    assert run.data.params["job.uid"] == "uid-1"
    assert not [name for name in run.data.params if name.startswith("rendezvous")]
    (config,) = Path("store").rglob("artifacts/config.py")
    assert "Recognizer3D" in config.read_text()


def test_a_training_that_fails_is_a_run_that_failed(visualizing: Visualizing) -> None:
    visualizer = visualizing(MLFLOW)
    visualizer.add_scalars({"train/loss": 1.0}, step=5)
    with pytest.raises(KeyboardInterrupt), trackers.telling(visualizer):
        raise KeyboardInterrupt
    assert [(run.info.status, run.data.metrics) for run in runs()] == [("FAILED", {"train/loss": 1.0})]


def test_what_never_trained_leaves_no_run(visualizing: Visualizing) -> None:
    with pytest.raises(ValueError, match="no such model"), trackers.telling(visualizing(MLFLOW)):
        raise ValueError("no such model")
    assert runs() == []


def test_the_tools_own_variables_name_another_experiment(
    visualizing: Visualizing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "shared")
    visualizer = visualizing(MLFLOW)
    with trackers.telling(visualizer):
        visualizer.add_scalars({"train/loss": 1.0}, step=5)
    assert len(runs("shared")) == 1


def test_an_mlflow_that_cannot_be_reached_is_told_of_once(
    visualizing: Visualizing, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", NOWHERE)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    visualizer = visualizing(MLFLOW)
    with trackers.telling(visualizer):
        for step in range(3):
            visualizer.add_scalars({"train/loss": 1.0}, step=step)
    assert capfd.readouterr().out.count("warning: MLflow is told nothing more") == 1


def test_an_mlflow_that_goes_away_holds_up_no_number_and_the_end_but_shortly(
    visualizing: Visualizing, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(trackers, "SECONDS_TO_END", 1)
    visualizer = visualizing(MLFLOW)
    with trackers.telling(visualizer):
        visualizer.add_scalars({"train/loss": 1.0}, step=0)
        silent = visualizer.get_backend("MLflowTracker")
        monkeypatch.setattr(silent._mlflow, "flush_async_logging", lambda: time.sleep(3))
        began = time.monotonic()
    assert time.monotonic() - began < 2
    assert "warning: MLflow may lack the end of the run: TimeoutError" in capfd.readouterr().out


def test_a_wandb_that_runs_already_elsewhere_writes_the_run_here(
    visualizing: Visualizing, without_wandb: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wandb

    monkeypatch.setenv("WANDB_MODE", "offline")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with contextlib.chdir(elsewhere):
        wandb.setup()
    assert os.environ["WANDB_SERVICE"]
    visualizer = visualizing(WANDB)
    with trackers.telling(visualizer):
        visualizer.add_scalars({"train/loss": 1.0}, step=5)
    assert list(Path("wandb").glob("offline-run-*/run-*.wandb"))
    assert not any(elsewhere.iterdir())


def test_a_wandb_that_cannot_be_reached_keeps_the_run_for_later(
    visualizing: Visualizing,
    without_wandb: None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name, value in {"API_KEY": "a" * 40, "BASE_URL": NOWHERE, "INIT_TIMEOUT": "1", "MODE": "online"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    visualizer = visualizing(WANDB)
    with trackers.telling(visualizer):
        visualizer.add_scalars({"train/loss": 1.0}, step=5)
    assert "warning: W&B is not reached: CommError" in capfd.readouterr().out
    assert [path.name.split("-")[0] for path in Path("wandb").glob("*run-*")] == ["offline"]
    assert list(Path("wandb").glob("offline-run-*/run-*.wandb"))
