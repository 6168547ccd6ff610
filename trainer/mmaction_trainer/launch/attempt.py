"""One attempt on one node, from start to end."""

from __future__ import annotations

import hashlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from mmaction_trainer import data
from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.checklist import Checklist
from mmaction_trainer.contract.checkpoints import Resumed, ResumePoint
from mmaction_trainer.contract.document import replace_file
from mmaction_trainer.contract.errors import ConfigFailure, Failure
from mmaction_trainer.contract.progress import Progress, Stage
from mmaction_trainer.contract.result import FailureReport, Result
from mmaction_trainer.contract.run import Run
from mmaction_trainer.storage import StorageAway

from . import checkpoints, results, torchrun, trackers, weights
from .commandline import Options, options_of
from .endings import explain, leave, leave_message
from .meeting import meet
from .patience import patiently
from .posting import Posting, Receiver
from .preflight import preflight
from .stopping import StopRequest

T = TypeVar("T")


SECONDS_TO_BEGIN = 60.0
"""For which storage that does not answer is waited for before the ranks start: GPUs are held meanwhile, and the next
attempt comes later."""


class Attempt:
    """One attempt on one node, or its preflight.

    Args:
        options: what the command line says.
        stop: told by signals.
    """

    def __init__(self, options: Options, stop: StopRequest) -> None:
        self.options, self.stop = options, stop
        self.run_dir, self.node_rank, self.cache = options.run_dir.resolve(), options.node_rank, options.cache
        self.videos = data.Cache(self.cache / "data", options.cache_limit)
        self.run = Run.read(self.run_dir / layout.RUN)
        self.trained = False
        self.resumed: ResumePoint | None = None
        self.delivery: data.Delivery | None = None
        self.uploading: checkpoints.CheckpointUpload | None = None
        self.warnings: tuple[str, ...] = ()

    def main(self) -> int:
        """Run to the end, say how it ended where others look for it, and return the exit code."""
        posting = self.post_progress()
        try:
            result = self.preflight() if self.options.preflight else self.attempt()
            self.stop.over = True
        except BaseException as error:
            self.stop.over = True
            result = self.fail(explain(error, trained=self.trained))
        self.end(result)
        if posting:
            posting.finish()
        if self.delivery:
            self.delivery.end()
        self.videos.close()
        return result.error.exit_code if result.error else 0

    def attempt(self) -> Result:
        """All of it: data in, training, results out."""
        self.check_config()
        if left := self.once_it_answers(lambda: results.published(self.run)):
            return self.nothing_to_do(left)
        trackers.check(self.run.trackers, os.environ)
        self.prepare()
        self.train()
        return self.publish()

    def preflight(self) -> Result:
        """What can be checked without GPUs."""
        self.check_config()
        checklist = Checklist()
        preflight(self.run, self.run_dir, self.cache, self.videos, checklist, self.report_files)
        self.warnings = checklist.report.warnings
        checklist.report.write(self.run_dir / layout.PREFLIGHT)
        print("\n".join(checklist.report.lines()), flush=True)
        checklist.refuse()
        print("Preflight passed: data, storage, weights and model are as they should be.", flush=True)
        return results.outcome(self.run, "Succeeded", node_rank=self.node_rank, warnings=self.warnings)

    def nothing_to_do(self, left: Result) -> Result:
        """Say what an attempt before this one published: to train again would only lose it."""
        print(f"Succeeded before. Results are in {left.results_uri}.", flush=True)
        if self.node_rank == 0:
            results.clear_away(self.run, self.patiently)
        return left.model_copy(update={"node_rank": self.node_rank})

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
            self.once_it_answers(lambda: results.begin(self.run, self.run_dir))
            self.once_it_answers(lambda: results.bring_stacks(self.run, self.run_dir))
        self.prepared = self.once_it_answers(
            lambda: data.prepare(self.run.data, self.run_dir, self.videos, self.report_files)
        )
        self.delivery = data.Delivery(
            self.prepared.awaited, self.videos, self.run_dir, skips=self.run.data.corrupt == "skip"
        )
        self.delivery.start()
        if self.run.pretrained:
            self.tell("Preparing", f"fetching {self.run.pretrained.name}")
            pretrained = self.run.pretrained
            self.once_it_answers(lambda: weights.fetch(pretrained, self.run_dir, self.cache / "weights"))
        self.tell("Preparing", "looking for checkpoints")
        self.resumed = self.once_it_answers(
            lambda: checkpoints.bring(self.run, self.run_dir, self.prepared.digest, lambda count: self.stop.check())
        )
        if self.resumed and self.node_rank == 0:
            self.once_it_answers(lambda: results.bring_records(self.run, self.run_dir))

    def train(self) -> None:
        """Meet the other nodes, then run the ranks, while videos still come."""
        assert self.delivery
        self.tell("Starting", f"{self.run.world.size} ranks on port {self.run.rendezvous.port}")
        address = meet(self.run, self.node_rank, within=self.options.meet_within)
        self.stop.check()
        if self.node_rank == 0 and self.run.trains:
            self.uploading = self.once_it_answers(
                lambda: checkpoints.CheckpointUpload(self.run, self.run_dir, self.prepared.digest)
            )
            self.uploading.start()
        fds = tuple(int(fd) for fd in os.environ.get(layout.LEASE_FDS, "").split(",") if fd)
        with self.stop.by_file(self.run_dir / layout.STOP):
            torchrun.train(
                self.run,
                self.run_dir,
                self.node_rank,
                address=address,
                grace=self.options.grace,
                hang_after=self.options.hang_after,
                awaiting=self.delivery.thread.is_alive,
                stopping=lambda: self.stop.asked,
                lease_fds=(*fds, *self.videos.descriptors),
            )
            self.delivery.end()
            self.delivery.check()
            self.trained = True

    def publish(self) -> Result:
        """Send the results to storage; the first node does, as rank 0 wrote them there."""
        if self.node_rank:
            return results.outcome(self.run, "Succeeded", node_rank=self.node_rank)
        self.tell("Uploading", self.run.results_uri)
        result = results.describe(self.run, self.run_dir, self.prepared)
        digest = self.patiently(lambda: results.send(self.run, self.run_dir, result))
        if self.uploading:
            self.uploading.abandon()
        results.clear_away(self.run, self.patiently)
        print(f"Succeeded. Results are in {result.results_uri}.", flush=True)
        return result.model_copy(update={"manifest_sha256": digest})

    def fail(self, failure: Failure) -> Result:
        """Say why, and only then send checkpoints and logs: whoever waits for that may lose patience."""
        print(f"{failure.name}: {failure}", file=sys.stderr, flush=True)
        report = FailureReport.of(failure)
        result = results.outcome(self.run, "Failed", node_rank=self.node_rank, error=report, warnings=self.warnings)
        leave_message(result)
        if self.delivery:
            self.delivery.ending.set()
        if not self.options.preflight:
            self.keep()
        return result

    def keep(self) -> None:
        """Leave in storage what a failed attempt has: first what the next one goes on from."""
        if self.uploading and not self.uploading.finish(within=self.options.grace):
            print("warning: the newest checkpoint is not in storage; the one before it is, if there is one", flush=True)
        results.keep(self.run, self.run_dir)

    def end(self, result: Result) -> None:
        """Leave the outcome; a full disk does not change it."""
        leave_message(result)
        try:
            if self.node_rank == 0:
                result.write(self.run_dir / layout.RESULT)
            checked = self.options.preflight and result.outcome == "Succeeded"
            self.tell("Done", "Preflight passed" if checked else result.outcome)
        except (OSError, Failure):
            traceback.print_exc()

    def post_progress(self) -> Posting | None:
        """Post progress from now on, if this is the first node and somebody receives it."""
        receiver = Receiver.of_environment() if self.node_rank == 0 else None
        if receiver is None:
            return None
        posting = Posting(self.run_dir / layout.PROGRESS, receiver)
        posting.start()
        return posting

    def tell(self, stage: Stage, message: str, done: int | None = None, total: int | None = None) -> None:
        """Write how far this attempt is; the ranks do so while they train."""
        if self.node_rank == 0:
            path = self.run_dir / layout.PROGRESS
            earlier = Progress.read(path) if path.exists() else Progress(stage=stage, observed_at=datetime.now(UTC))
            now: dict[str, Any] = {"stage": stage, "message": message, "observed_at": datetime.now(UTC)}
            now |= {"iteration": done, "iterations": total, "eta_seconds": None, "resumed": self.went_on_from}
            earlier.model_copy(update=now).write(path)

    def once_it_answers(self, do: Callable[[], T]) -> T:
        """Do something with storage before the ranks start, again where it does not answer; what it refuses ends it."""

        def tell(failure: str) -> None:
            self.stop.check()
            print(f"warning: {failure}", flush=True)
            self.tell("Preparing", failure)

        return patiently(do, within=min(self.options.patience, SECONDS_TO_BEGIN), tell=tell, over=StorageAway)

    def patiently(self, do: Callable[[], T]) -> T:
        """Do something with storage, again where it fails, and say that the results have to wait."""

        def tell(failure: str) -> None:
            print(f"warning: {failure}", flush=True)
            self.tell("Uploading", failure)

        return patiently(do, within=self.options.patience, tell=tell)

    @property
    def went_on_from(self) -> Resumed | None:
        """From where, for whoever watches."""
        return Resumed(**self.resumed.model_dump(include=set(Resumed.model_fields))) if self.resumed else None

    def report_files(self, done: int, total: int, what: str) -> None:
        """Tell how many files have come."""
        self.stop.check()
        self.tell("Preparing", what, done, total)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Command line of the trainer; exits with 0 or the code of the failure."""
    stop = StopRequest()
    stop.install()
    node_rank = 0
    try:
        options = options_of(argv)
        node_rank = options.node_rank
        if options.source:
            bring(options.source, options.run_dir)
        be_told(options)
        code = Attempt(options, stop).main()
    except SystemExit:  # --help
        raise
    except BaseException as error:
        stop.over = True
        failure = explain(error)
        print(f"{failure.name}: {failure}", file=sys.stderr, flush=True)
        leave_message(results.of_nothing_known(node_rank, FailureReport.of(failure)))
        code = failure.exit_code
    leave(code)


def bring(source: Path, run_dir: Path) -> None:
    """Copy config.py and run.json to the run directory.

    Raises:
        ConfigFailure: one of them is not there.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    for name in (layout.CONFIG, layout.RUN):
        try:
            content = (source / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise ConfigFailure(
                str(source / name),
                "no such file",
                accepted=f"a folder with {layout.CONFIG} and {layout.RUN}",
                do="It is what --from names; whoever starts the run writes both there.",
            ) from None
        replace_file(run_dir / name, content)


def be_told(options: Options) -> None:
    """Write into the run directory's run.json what the command line says of this attempt."""
    told = Run.read(options.run_dir / layout.RUN)
    job, rendezvous = told.job, options.rendezvous or told.rendezvous
    if options.attempt is not None:
        job = job.model_copy(update={"attempt": options.attempt})
    if (job, rendezvous) != (told.job, told.rendezvous):
        told.model_copy(update={"job": job, "rendezvous": rendezvous}).write(options.run_dir / layout.RUN)
