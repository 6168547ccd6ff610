"""W&B and MLflow, told of a run from its first numbers to its end.

MMEngine's own backends are made for a script on a desk: they end a run when the training does, before it is tested,
and again after the test; MLflow's puts a folder in place of the URI that the environment gives; and whatever a server
says ends the training. Here a run is one run, whose end ``telling`` says; the tools' environment holds; and a tracker
that fails costs no training.
"""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.registry import VISBACKENDS
from mmengine.visualization.vis_backend import BaseVisBackend

from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.run import Run

SECONDS_TO_END = 20
"""How long a server that does not answer may hold up the end of a run."""
VARIABLES = {
    "WANDB_CONSOLE": "off",  # the log has what is printed
    "WANDB_DISABLE_CODE": "true",
    "WANDB_DISABLE_GIT": "true",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_FINISH_TIMEOUT": str(SECONDS_TO_END),
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_ASYNC_LOGGING_BUFFERING_SECONDS": "2",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""The tools' own variables, where the environment has no others. MLflow's own patience is minutes for each number, and
both tools report to their makers."""


@contextmanager
def telling(visualizer: Any) -> Iterator[None]:
    """Trackers are told of what happens inside; then their run ends, as failed if this did."""
    failed = True
    try:
        yield
        failed = False
    finally:
        for backend in visualizer._vis_backends.values():
            if isinstance(backend, Tracker):
                backend.end(failed)
            else:
                backend.close()


def tell_test(runner: Any, scores: Mapping[str, float]) -> None:
    """Tell what the test found: MMEngine writes that into a file of its own and tells nobody."""
    runner.visualizer.add_scalars({f"test/{name}": value for name, value in scores.items()}, step=runner.iter)


class Tracker(BaseVisBackend):  # type: ignore[misc]
    """A backend of MMEngine's visualizer. Its run begins with the first numbers: what cannot be built has none.

    MMEngine calls ``close`` after the training and again after the test, and only ``end`` ends the run.
    """

    name: str
    config: Any = None
    began = lost = False

    @property
    def experiment(self) -> Any:
        """Nothing: MMEngine's way to a tool's own API."""

    def _init_env(self) -> None:
        """Nothing: see ``begin``."""

    def add_config(self, config: Any, **kwargs: Any) -> None:
        """Keep the config for the begin of the run."""
        self.config = config

    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Tell a number of an iteration."""
        self.add_scalars({name: value}, step)

    def add_scalars(
        self, scalar_dict: dict[str, Any], step: int = 0, file_path: str | None = None, **kwargs: Any
    ) -> None:
        """Tell numbers of an iteration. A failure is printed, and nothing more is told."""
        if self.lost:
            return
        try:
            if not self.began:
                os.environ.update({name: value for name, value in VARIABLES.items() if name not in os.environ})
                self.begin(Run.read(Path(layout.RUN)))
                self.began = True
            self.tell(scalar_dict, step)
        except Exception as error:
            self.lost = True
            self.warn(f"is told nothing more: {reason(error)}; the training goes on")

    def end(self, failed: bool) -> None:
        """End the run, if it began."""
        if not self.began:
            return
        try:
            self.finish(failed)
        except Exception as error:
            self.warn(f"may lack the end of the run: {reason(error)}")

    def warn(self, what: str) -> None:
        """Print a warning of this tracker."""
        print(f"warning: {self.name} {what}", flush=True)

    def begin(self, run: Run) -> None:
        """Begin a run."""
        raise NotImplementedError

    def tell(self, scalars: dict[str, Any], step: int) -> None:
        """Hand numbers on, without waiting for a server."""
        raise NotImplementedError

    def finish(self, failed: bool) -> None:
        """Wait for ``SECONDS_TO_END`` at most until all has arrived."""
        raise NotImplementedError


@VISBACKENDS.register_module()
class WandbTracker(Tracker):
    """A run in a project of W&B; ``WANDB_PROJECT`` names another one.

    Where the server cannot be reached the run is kept offline, for `wandb sync`.
    """

    name = "W&B"

    def __init__(self, save_dir: str, project: str, run: str) -> None:
        super().__init__(save_dir)
        self.project, self.run_name = os.environ.get("WANDB_PROJECT") or project, run

    def begin(self, run: Run) -> None:
        """Begin a run with the config and with what the attempt was told."""
        import wandb

        self._wandb = wandb
        config = {**self.config.to_dict(), "trainjob": told_of(run)}
        here = str(Path.cwd())  # W&B's process may be one that runs already, in a folder of its own
        begin = functools.partial(wandb.init, project=self.project, name=self.run_name, config=config, dir=here)
        try:
            begin()
        except wandb.Error as error:
            self.warn(f"is not reached: {reason(error)}; the run is kept offline, in {layout.WANDB}/ of the results")
            for empty in Path(layout.WANDB).glob("run-*"):
                shutil.rmtree(empty, ignore_errors=True)
            begin(mode="offline")

    def tell(self, scalars: dict[str, Any], step: int) -> None:
        """Hand numbers to W&B's own process."""
        self._wandb.log(scalars, step=step)

    def finish(self, failed: bool) -> None:
        """Wait until the server has all; W&B gives up by itself, and says so."""
        self._wandb.finish(exit_code=int(failed))


@VISBACKENDS.register_module()
class MLflowTracker(Tracker):
    """A run in an experiment of MLflow; ``MLFLOW_EXPERIMENT_NAME`` names another one."""

    name = "MLflow"

    def __init__(self, save_dir: str, experiment: str, run: str) -> None:
        super().__init__(save_dir)
        self.experiment_name, self.run_name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or experiment, run

    def begin(self, run: Run) -> None:
        """Begin a run: its parameters are what the attempt was told, and the config is an artifact.

        A parameter for each of the config's thousand keys would be more than servers take, and than anyone reads.
        """
        import mlflow

        self._mlflow, self._client = mlflow, mlflow.MlflowClient()
        experiment = mlflow.set_experiment(self.experiment_name)
        self._run_id = self._client.create_run(experiment.experiment_id, run_name=self.run_name).info.run_id
        mlflow.log_params(dict(flat(told_of(run))), run_id=self._run_id)
        try:
            mlflow.log_text(self.config.pretty_text, layout.CONFIG, run_id=self._run_id)
        except Exception as error:  # artifacts have a store of their own, which may want other keys
            self.warn(f"has no {layout.CONFIG}: {reason(error)}")

    def tell(self, scalars: dict[str, Any], step: int) -> None:
        """Hand numbers to MLflow's own thread, which prints what it cannot send."""
        self._mlflow.log_metrics(scalars, step, synchronous=False, run_id=self._run_id)

    def finish(self, failed: bool) -> None:
        """Wait until the server has all, or give up."""
        ThreadPoolExecutor(1).submit(self._finish, failed).result(SECONDS_TO_END)

    def _finish(self, failed: bool) -> None:
        self._mlflow.flush_async_logging()
        self._client.set_terminated(self._run_id, "FAILED" if failed else "FINISHED")


def told_of(run: Run) -> dict[str, Any]:
    """What a tracker is told of an attempt: all but what only its ranks need, and a URI that may hold a signature."""
    told: dict[str, Any] = run.model_dump(
        mode="json",
        by_alias=True,
        exclude_none=True,
        exclude={"version": True, "rendezvous": True, "trackers": True, "pretrained": {"uri"}},
    )
    return told


def flat(document: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a document by their paths, such as ``job.name``."""
    for name, value in document.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def reason(error: Exception) -> str:
    """An error in a line, cut where a server's page begins."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:400]}" if lines else type(error).__name__
