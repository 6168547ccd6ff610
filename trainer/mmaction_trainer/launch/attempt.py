"""One attempt on one node, from start to end."""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import NoReturn

from mmaction_trainer import data
from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.errors import ConfigFailure, Failure, Interrupted
from mmaction_trainer.contract.progress import Progress, Stage
from mmaction_trainer.contract.result import Result
from mmaction_trainer.contract.run import Run

from . import results, torchrun, weights
from .meeting import meet


class Attempt:
    """One attempt on one node.

    Args:
        run_dir: holds config.py and run.json; everything else is written there.
        node_rank: which node this is, from 0.
        cache: folder of videos and checkpoints, shared by all runs on this machine.
        grace: seconds that ranks have to stop by themselves.
        meet_within: seconds to wait for the other nodes.
    """

    def __init__(self, run_dir: Path, node_rank: int, *, cache: Path, grace: float, meet_within: float) -> None:
        self.run_dir, self.node_rank, self.cache = run_dir, node_rank, cache
        self.grace, self.meet_within = grace, meet_within
        self.run = Run.read(run_dir / layout.RUN)
        self.stopping = False
        self.stage: Stage = "Preparing"

    def main(self) -> int:
        """Run, leave ``result.json``, and return the exit code."""
        try:
            self.check_config()
            self.prepare()
            self.train()
            result = self.publish()
        except Failure as failure:
            print(f"{failure.name}: {failure}", file=sys.stderr, flush=True)
            result = results.fail(self.run, self.run_dir, failure)
        if self.node_rank == 0:
            result.write(self.run_dir / layout.RESULT)
        self.tell("Done", result.outcome)
        return result.error.exit_code if result.error else 0

    def check_config(self) -> None:
        """See that the config is the one that was rendered for this attempt."""
        digest = hashlib.sha256((self.run_dir / layout.CONFIG).read_bytes()).hexdigest()
        if digest != self.run.config_sha256:
            raise ConfigFailure(
                layout.CONFIG, f"sha256 is {digest[:12]}...", accepted=self.run.config_sha256[:12] + "..."
            )

    def prepare(self) -> None:
        """Bring data and weights here, checked, before a rank starts."""
        self.tell("Preparing", "reading the lists")
        if self.node_rank == 0:
            results.begin(self.run, self.run_dir)
        prepared = data.prepare(self.run.data, self.run_dir, self.cache / "data", self.report_files)
        for warning in prepared.warnings:
            print(f"warning: {warning}", flush=True)
        if self.run.pretrained:
            self.tell("Preparing", f"fetching {self.run.pretrained.name}")
            weights.fetch(self.run.pretrained, self.run_dir, self.cache / "weights")

    def train(self) -> None:
        """Meet the other nodes, then run the ranks."""
        self.tell("Starting", f"{self.run.world.size} ranks on port {self.run.rendezvous.port}")
        self.refuse_if_stopping()
        meet(self.run, self.node_rank, within=self.meet_within)
        fds = tuple(int(fd) for fd in os.environ.get(layout.LEASE_FDS, "").split(",") if fd)
        torchrun.train(
            self.run,
            self.run_dir,
            self.node_rank,
            grace=self.grace,
            stopping=lambda: self.stopping,
            lease_fds=fds,
        )

    def publish(self) -> Result:
        """Send the results to storage; the first node does, as rank 0 wrote them there."""
        if self.node_rank:
            return results.outcome(self.run, "Succeeded")
        self.tell("Uploading", self.run.results_uri)
        return results.succeed(self.run, self.run_dir)

    def stop(self, signum: int, frame: FrameType | None) -> None:
        """Ask the ranks to stop after the same iteration; before there are ranks, stop at once."""
        first, self.stopping = not self.stopping, True
        (self.run_dir / layout.STOP).touch()
        if first and self.stage in ("Preparing", "Uploading"):
            self.refuse_if_stopping()

    def refuse_if_stopping(self) -> None:
        """Leave if this run was asked to stop."""
        if self.stopping:
            raise Interrupted("run", "stopped as asked before training began")

    def tell(self, stage: Stage, message: str, done: int | None = None, total: int | None = None) -> None:
        """Write how far this attempt is; the ranks do so while they train."""
        self.stage = stage
        if self.node_rank == 0:
            path = self.run_dir / layout.PROGRESS
            earlier = Progress.read(path) if path.exists() else Progress(stage=stage, observed_at=datetime.now(UTC))
            now = {"stage": stage, "message": message, "observed_at": datetime.now(UTC)}
            earlier.model_copy(update={**now, "iteration": done, "iterations": total, "eta_seconds": None}).write(path)

    def report_files(self, done: int, total: int, what: str) -> None:
        """Tell how many files have come."""
        self.tell("Preparing", what, done, total)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Command line of the trainer; exits with 0 or the code of the failure."""
    parser = argparse.ArgumentParser(prog="mmaction-trainer", description=__doc__)
    parser.add_argument("run_dir", type=Path, help="folder with config.py and run.json")
    parser.add_argument("--node-rank", type=int, default=int(os.environ.get("JOB_COMPLETION_INDEX", "0")))
    parser.add_argument("--cache", type=Path, default=default_cache(), help="videos and checkpoints of this machine")
    parser.add_argument("--grace", type=float, default=60.0, help="seconds that ranks have to stop by themselves")
    parser.add_argument("--meet-within", type=float, default=900.0, help="seconds to wait for the other nodes")
    options = parser.parse_args(argv)
    try:
        attempt = Attempt(
            options.run_dir.resolve(),
            options.node_rank,
            cache=options.cache,
            grace=options.grace,
            meet_within=options.meet_within,
        )
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, attempt.stop)
        sys.exit(attempt.main())
    except Failure as failure:
        print(f"{failure.name}: {failure}", file=sys.stderr)
        sys.exit(failure.exit_code)
    except Exception:
        traceback.print_exc()
        sys.exit(Failure.exit_code)


def default_cache() -> Path:
    """``$TRAINJOB_CACHE``, else ``mmaction-operator`` in the user's cache folder."""
    if folder := os.environ.get("TRAINJOB_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "mmaction-operator"
