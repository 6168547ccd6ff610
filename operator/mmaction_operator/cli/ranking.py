"""Runs that may be compared, ranked: those that were tested on the same videos by the same protocol.

Everything comes from manifests. A number is never set beside one of another protocol or data set: each group has a
table of its own, and what cannot be ranked is listed with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mmaction_trainer.contract.result import DataReport, Result, Score
from mmaction_trainer.contract.run import Protocol
from mmaction_trainer.storage import JobResults

from . import published

COLUMNS = (
    *("rank", "job", "model", "frames", "resolution", "pretrained", "epoch"),
    *("val protocol", "val top-1", "val top-5", "test protocol", "test top-1", "test top-5", "test mean class"),
    *("params", "FLOPs per view", "GPU hours", "reported by the zoo", "uid"),
)
SECONDS_OF_AN_HOUR = 3600


@dataclass(frozen=True)
class Group:
    """What has to be the same of runs that are compared.

    Attributes:
        data: sha256 over paths and labels of the tested split; of every split in manifests of earlier versions.
        protocol: by which they were tested.
    """

    data: str
    protocol: Protocol


@dataclass(frozen=True)
class Run:
    """A run with a test score."""

    job: str
    uid: str
    result: Result
    test: Score


@dataclass(frozen=True)
class Ranking:
    """A group and its runs, the best first."""

    group: Group
    runs: tuple[Run, ...]

    @property
    def data(self) -> DataReport:
        """The data set, as the first of these runs tells of it."""
        data = self.runs[0].result.data
        assert data
        return data

    @property
    def title(self) -> str:
        """What these runs have in common."""
        protocol = self.group.protocol
        sizes = f"short side {protocol.short_side}, crop {protocol.crop_size}"
        data = f"{self.data.format}, split {self.data.split}, {self.data.videos.get('test', 0)} test videos"
        return f"Data {self.group.data[:12]} ({data}); tested by {protocol} (clips x crops; {sizes}); accuracies in %"


@dataclass(frozen=True)
class Board:
    """Rankings, and the runs that are in none, each with the reason."""

    rankings: tuple[Ranking, ...]
    apart: tuple[tuple[str, str], ...]


def board_of(found: Iterable[JobResults]) -> Board:
    """Rank what lies in storage."""
    groups: dict[Group, list[Run]] = {}
    apart = []
    for job in sorted(found, key=lambda job: job.prefix):
        namespace, name, uid = job.prefix.split("/")
        result = Result.model_validate(job.manifest.summary) if job.manifest else None
        if why := why_apart(job, result):
            apart.append((f"{namespace}/{name}/{uid}", why))
            continue
        assert result
        assert result.test
        assert result.data
        group = Group(result.data.tested_sha256 or result.data.sha256, result.test.protocol)
        groups.setdefault(group, []).append(Run(f"{namespace}/{name}", uid, result, result.test))
    ordered = sorted(groups.items(), key=lambda item: (item[0].data, str(item[0].protocol)))
    rankings = (Ranking(group, tuple(sorted(runs, key=order))) for group, runs in ordered)
    return Board(tuple(rankings), tuple(apart))


def why_apart(job: JobResults, result: Result | None) -> str:
    """Why a run cannot be ranked; empty if it can."""
    if job.fault or result is None:
        return job.fault or "no manifest"
    if result.test is None:
        return "no test score"
    return "" if result.data else "its data set has no digest (it was trained by an earlier version)"


def order(run: Run) -> tuple[float, float, str]:
    """The best test score first, then by the second number, then by name."""
    return -run.test.top1, -run.test.top5, run.job


def rows(ranking: Ranking) -> Iterator[dict[str, object]]:
    """A ranking's rows by column; equal scores share a rank. None where a run does not say."""
    place, before = 0, None
    for number, run in enumerate(ranking.runs, 1):
        if run.test.top1 != before:
            place, before = number, run.test.top1
        yield dict(zip(COLUMNS, values(place, run), strict=True))


def values(place: int, run: Run) -> Sequence[object]:
    """A run's cells, in the columns' order. Accuracies are fractions, FLOPs and parameters whole numbers."""
    result, val = run.result, run.result.val
    model, size = result.model, result.complexity
    entry = published.entry_of(model) if model else None
    epoch = f"{val.epoch}/{model.epochs}" if val and val.epoch and model else None
    return (
        place,
        run.job,
        model.recipe if model else None,
        model.frames if model else None,
        run.test.protocol.crop_size,
        published.pretraining(model, entry) if model else None,
        epoch,
        str(val.protocol) if val else None,
        val.top1 if val else None,
        val.top5 if val else None,
        str(run.test.protocol),
        run.test.top1,
        run.test.top5,
        run.test.mean_class,
        size.parameters if size else None,
        size.flops_per_view if size else None,
        gpu_hours(result),
        published.reported(entry) if entry else None,
        run.uid,
    )


def gpu_hours(result: Result) -> float | None:
    """What a run cost; None for one on CPU, and for one that does not say."""
    if not result.seconds or not result.model or result.model.device != "cuda":
        return None
    return round(result.seconds * result.world_size / SECONDS_OF_AN_HOUR, 2)
