"""What people are told of a job on a cluster: its status in words. Values to values; the time is an argument."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from mmaction_operator.api import parse
from mmaction_operator.api.status import Condition, ProgressStatus, ScoreStatus, TrainJobStatus
from mmaction_operator.plan import is_over
from mmaction_operator.plan.conditions import SUSPENDED
from mmaction_operator.plan.status import duration
from mmaction_operator.render import render
from mmaction_trainer.contract.checkpoints import Resumed
from mmaction_trainer.contract.errors import FAILURES, ConfigFailure, Failure

from .connecting import ClusterFailure
from .terminal import numbers

Job = dict[str, Any]
"""A TrainJob as the API server has it."""
Row = tuple[str, str]
"""What is told, and in which words."""

EVENTS = 8
"""How many of the newest events are shown."""


def status_in(job: Job) -> TrainJobStatus:
    """The status of a job; empty where the controller has not written one.

    Raises:
        ClusterFailure: a controller of another version wrote what this one cannot read.
    """
    try:
        return TrainJobStatus.model_validate(job.get("status") or {})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, ("status", *first["loc"])))
        raise ClusterFailure(
            f"TrainJob {job['metadata']['name']}",
            f"{field} cannot be read: {first['msg']}",
            do="The operator there is of another version than this command: install the same.",
        ) from None


def condition(status: TrainJobStatus, kind: str) -> Condition | None:
    """The condition of this type, if it holds."""
    return next((c for c in status.conditions if c.type == kind and c.status == "True"), None)


def waits_for(status: TrainJobStatus) -> Condition | None:
    """The newest condition that does not hold, of a job that is not over."""
    if is_over(status):
        return None
    open_ones = [c for c in status.conditions if c.status != "True" and c.type != SUSPENDED]  # that one is no goal
    return max(open_ones, key=lambda c: c.last_transition_time, default=None)


def exit_code(status: TrainJobStatus) -> int:
    """How a job that is over ended: 0, or the exit code of its failure's class."""
    failed = condition(status, "Failed")
    if failed is None:
        return 0
    return next((kind.exit_code for kind in FAILURES if kind.name == failed.reason), Failure.exit_code)


def progress_protocol(job: Job, status: TrainJobStatus) -> str:
    """Clips x crops of what progress tells: of the validation, or of the test where nothing is trained.

    Empty where this program would render another config than the job has.
    """
    if status.results and (score := status.results.val or status.results.test):
        return protocol(score)
    try:
        rendered = render(parse({key: job[key] for key in ("apiVersion", "kind", "metadata", "spec")}))
    except ConfigFailure:
        return ""
    by = rendered.val_protocol or rendered.test_protocol
    return str(by) if rendered.sha256 == status.config_sha256 else ""


def protocol(score: ScoreStatus) -> str:
    """Clips x crops that a score was measured by."""
    return f"{score.protocol.clips}x{score.protocol.crops}"


def rows(job: Job, events: Iterable[Job], by: str, now: datetime) -> list[Row]:
    """Everything about a job.

    Args:
        job: as the API server has it.
        events: about it.
        by: protocol of its progress, as ``progress_protocol`` finds it.
        now: the time, for ages.
    """
    status = status_in(job)
    return [
        *where_it_is(status),
        *(how_far_it_is(status.progress, by, now, is_over(status)) if status.progress else ()),
        *what_it_runs_with(status),
        *what_failed(status),
        *what_it_left(status),
        *recent(events, now),
    ]


def where_it_is(status: TrainJobStatus) -> list[Row]:
    """The phase, and why it is no further."""
    if status.phase is None:
        return [
            ("phase", "none yet"),
            (
                "waits for",
                "the controller; if that lasts, see that it runs, and takes care of this namespace and of jobs with "
                "this spec.managedBy",
            ),
        ]
    found: list[Row] = [("phase", status.phase)]
    if failed := condition(status, "Failed"):
        found.append(("failed", f"{failed.reason}: {failed.message}"))
    if waiting := waits_for(status):
        found.append(("waits for", f"{waiting.reason}: {waiting.message}"))
    return found


def how_far_it_is(progress: ProgressStatus, by: str, now: datetime, over: bool) -> list[Row]:
    """What the trainer said last."""
    views = f"{by} views" if by else ""
    found = []
    if progress.epoch is not None:
        epoch = f"{progress.epoch}/{progress.epochs}" if progress.epochs else str(progress.epoch)
        found.append(("epoch", ", ".join(filter(None, (epoch, iteration(progress), said(progress, now))))))
    elif progress.iterations:
        found.append(
            ("done", ", ".join(filter(None, (f"{progress.iteration}/{progress.iterations}", said(progress, now)))))
        )
    if progress.loss is not None:
        found.append(("loss", f"{progress.loss:.4g}"))
    if progress.top1 is not None:
        found.append(("top-1", joined(f"{progress.top1:.4f}", views)))
    if progress.best:
        found.append(("best top-1", joined(f"{progress.best.top1:.4f}", views, f"epoch {progress.best.epoch}")))
    if progress.eta and not over:
        found.append(("time left", progress.eta))
    return found


def iteration(progress: ProgressStatus) -> str:
    """How far the epoch is."""
    return f"iteration {progress.iteration}/{progress.iterations}" if progress.iterations else ""


def said(progress: ProgressStatus, now: datetime) -> str:
    """How old this is."""
    return f"{age(progress.observed_at, now)} ago" if progress.observed_at else ""


def joined(number: str, *notes: str) -> str:
    """A number with what it takes to understand it."""
    told = ", ".join(filter(None, notes))
    return f"{number} ({told})" if told else number


def what_it_runs_with(status: TrainJobStatus) -> list[Row]:
    """What the controller gave it, and the checkpoint that it found."""
    point = status.resumed_from
    return [
        (label, text)
        for label, text in (
            ("attempt", str(status.attempt or "")),
            ("went on from", str(Resumed(**point.model_dump())) if point else ""),
            ("port", str(status.port or "")),
            ("nodes", ", ".join(status.nodes)),
            ("learning rate", f"{status.effective_lr:g}" if status.effective_lr is not None else ""),
            ("config sha256", status.config_sha256 or ""),
        )
        if text
    ]


def what_failed(status: TrainJobStatus) -> list[Row]:
    """The newest attempt that failed: why, which rank did first, and what that rank printed last."""
    if not status.failures:
        return []
    last = status.failures[-1]
    rank = "" if last.rank is None else f"rank {last.rank}"
    told = [
        (f"attempt {last.attempt} failed", f"{last.reason}: {last.message}" if last.message else last.reason),
        ("failed first", " on ".join(filter(None, (rank, last.node)))),
    ]
    lines = [("last lines" if number == 0 else "", line) for number, line in enumerate(last.last_lines)]
    return [row for row in told if row[1]] + lines


def what_it_left(status: TrainJobStatus) -> list[Row]:
    """Its results."""
    if status.results is None:
        return []
    scores = (("val", status.results.val), ("test", status.results.test))
    measured = [(name, f"top-1 {s.top1:.4f}  top-5 {s.top5:.4f}  ({protocol(s)} views)") for name, s in scores if s]
    return [*measured, ("results", status.results.uri)]


def recent(events: Iterable[Job], now: datetime) -> list[Row]:
    """The newest events, the newest last."""
    newest = sorted(events, key=said_at)[-EVENTS:]
    lines = [f"{age(datetime.fromisoformat(said_at(e)), now)} ago  {e['reason']}: {e['message']}" for e in newest]
    return [("events" if number == 0 else "", line) for number, line in enumerate(lines)]


def said_at(event: Job) -> str:
    """When an event was told last; RFC 3339 in UTC, so that text sorts as time."""
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"])


def age(then: datetime, now: datetime) -> str:
    """How long ago something was."""
    return duration(max((now - then).total_seconds(), 0))


def line(status: TrainJobStatus) -> str:
    """Where a job is, in one line."""
    words: list[str] = [status.phase or "Pending"]
    if waiting := waits_for(status):
        words.append(f"({waiting.reason}: {waiting.message})")
    if status.attempt and status.attempt > 1:
        words.append(f"attempt {status.attempt}")
    if status.progress:
        words.append("  ".join(numbers(status.progress)))
        if status.progress.eta and status.phase == "Running":
            words.append(f"{status.progress.eta} left")
    return "  ".join(filter(None, words))


def news(status: TrainJobStatus) -> tuple[object, ...]:
    """What of a status is worth a line of its own when it changes."""
    waiting, progress = waits_for(status), status.progress
    said = (waiting.reason, waiting.message) if waiting else None
    far = (progress.epoch, progress.top1) if progress and progress.epoch else None
    return status.phase, said, status.attempt, status.port, far
