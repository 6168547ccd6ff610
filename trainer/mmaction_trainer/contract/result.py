"""``result.json``: how an attempt ended. On a cluster its summary is the pod's termination message."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, Self

from .document import Document, as_unicode
from .errors import Failure, HangFailure, failure_class
from .run import Protocol

MOST_LINES, LONGEST_LINE = 10, 200
"""Of a rank's last lines: how many a report has, and how many characters of each."""


class FailureReport(Document):
    """A failure as it crosses a process boundary.

    ``rank`` is the rank that failed first, as far as this node knows, and ``last_lines`` what it printed last; of one
    that hangs, where it stands. ``hung`` tells that from a rank which only lost another. ``at`` is when it was told.
    """

    failure: str
    exit_code: int
    where: str
    message: str
    rank: int | None = None
    last_lines: tuple[str, ...] = ()
    hung: bool = False
    at: datetime | None = None

    @classmethod
    def of(cls, failure: Failure) -> Self:
        """The report of a failure."""
        return cls(
            failure=failure.name,
            exit_code=failure.exit_code,
            where=as_unicode(failure.where),
            message=as_unicode(str(failure)),
            rank=failure.rank,
            last_lines=failure.last_lines,
            hung=isinstance(failure, HangFailure),
            at=datetime.now(UTC),
        )

    @property
    def cause(self) -> Failure:
        """The failure that was reported; what was accepted and what to do are in its words."""
        kind = HangFailure if self.hung else failure_class(self.exit_code)
        failure = kind(self.where, self.message.removeprefix(f"{self.where}: "))
        failure.rank, failure.last_lines = self.rank, self.last_lines
        return failure


class Score(Document):
    """Accuracies as fractions from 0 to 1, with the protocol that they were measured by and how many videos."""

    protocol: Protocol
    top1: float
    top5: float
    mean_class: float | None = None
    videos: int | None = None
    epoch: int | None = None


class Speed(Document):
    """How fast a model scores views, measured on the device that tested it, in the precision that the test had.

    ``latency_ms`` is the median time of one view by itself, ``views_per_second`` the throughput of ``batch`` views at
    once. ``peak_memory_bytes`` is the most that weights, such a batch and what is made of it take on a GPU; it is
    absent on a CPU, where nothing tells them from what the training left. Decoding and normalising are in none of them.
    """

    device: str
    precision: Literal["fp32", "fp16", "bf16"]
    latency_ms: float
    batch: int
    views_per_second: float
    peak_memory_bytes: int | None = None


class Complexity(Document):
    """How large a model is: parameters, and multiply-adds of one view of a video through all but the head."""

    parameters: int
    flops_per_view: int
    views: int
    speed: Speed | None = None

    @property
    def flops_per_video(self) -> int:
        """Of all views that the test protocol takes of a video."""
        return self.flops_per_view * self.views


class ModelReport(Document):
    """What was trained: the recipe by its name in MMAction2's zoo, what it sees of a clip (frames, interval and number,
    such as 32x2x1), the file of weights that it began with, epochs (0 of what was tested as it is), and on what it
    ran."""

    recipe: str
    frames: str
    pretrained: str | None = None
    epochs: int
    device: str


class DataReport(Document):
    """The data set that numbers are of: sha256 over paths and labels of every split that was read, and of the tested
    one alone, which is the same however the weights came to be; videos of each split; and how many corrupt ones the
    training skipped, where it may skip any."""

    sha256: str
    tested_sha256: str | None = None
    format: str
    split: int
    classes: int
    videos: dict[str, int]
    skipped: int | None = None


class Result(Document):
    """How an attempt ended on one node, or how its preflight did, which has neither scores nor a manifest.

    ``warnings`` is what the preflight found that the user should know and can live with. ``checkpoint`` is what was
    tested: its path in the results, or the URI of weights that were tested as they are. ``seconds`` is how long the
    ranks trained, validated and tested.
    """

    outcome: Literal["Succeeded", "Failed"]
    results_uri: str
    port: int
    world_size: int
    node_rank: int = 0
    warnings: tuple[str, ...] = ()
    val: Score | None = None
    test: Score | None = None
    checkpoint: str | None = None
    checkpoint_sha256: str | None = None
    model: ModelReport | None = None
    data: DataReport | None = None
    complexity: Complexity | None = None
    seconds: float | None = None
    manifest_sha256: str | None = None
    error: FailureReport | None = None
