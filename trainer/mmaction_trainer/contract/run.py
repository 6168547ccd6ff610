"""``run.json``: everything one attempt of a job is told, beside its ``config.py``."""

from __future__ import annotations

from typing import Literal

from .document import Document

# Where things lie in a run directory. The rendered config names them relative to it, so one config runs anywhere.
CONFIG = "config.py"
RUN = "run.json"
PROGRESS = "progress.json"
RESULT = "result.json"
PREFLIGHT = "preflight.json"
EXAMINED = "examined.json"
METRICS = "metrics.jsonl"
SCORES = "test/scores.npz"
COMPLEXITY = "test/complexity.json"
DEMO = "demo.mp4"
LISTS = {"train": "data/train.txt", "val": "data/val.txt", "test": "data/test.txt"}
CLASSES = "data/classes.txt"
VIDEOS = "data/videos"
PRETRAINED = "pretrained"
WORK = "work"
SAVED = "work/saved.json"
RESUME = "resume.json"
LOGS = "logs"
FAILURES = "failures"
STACKS = "stacks"
STOP = "stop"
TENSORBOARD = "tensorboard"
WANDB = "wandb"
MLRUNS = "mlruns"

LEASE_FDS = "TRAINJOB_LEASE_FDS"
"""Environment variable of the launcher: file descriptors, separated by commas, that hold this run's leases. It keeps
them open and hands them on to torchrun, so that a lease lives as long as anything that uses it."""


Tracker = Literal["tensorboard", "wandb", "mlflow"]
"""A tool that shows runs beside each other, and that a training is told to."""


Resume = Literal["Required", "IfPossible", "Never"]
"""Whether an attempt goes on from a checkpoint of those before it."""


class JobIdentity(Document):
    """Which job, and which try of it. No two attempts in the world share one."""

    namespace: str
    name: str
    uid: str
    attempt: int = 1

    @property
    def rendezvous_id(self) -> str:
        """torchrun's ``--rdzv-id``: as unique as the attempt itself."""
        return f"{self.uid}-{self.attempt}"

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name} (uid {self.uid}, attempt {self.attempt})"


class World(Document):
    """The processes of an attempt: ``nodes`` x ``processes_per_node`` ranks on one kind of device."""

    nodes: int = 1
    processes_per_node: int = 1
    device: Literal["cpu", "cuda"] = "cpu"

    @property
    def size(self) -> int:
        """Number of ranks."""
        return self.nodes * self.processes_per_node


class Rendezvous(Document):
    """Where the ranks meet: the first node's address and the port leased for this attempt."""

    host: str = "127.0.0.1"
    port: int


class DataSource(Document):
    """Where videos and labels come from, and what the config expects of them.

    ``decode`` is which videos the preflight decodes, ``leakage`` what it makes of videos that are in train and in test.
    ``frames`` is how many frames of a video the model sees at once, ``span`` how many lie from the first to the last.
    ``corrupt`` is what a training does with a video that does not decode or has vanished, ``max_skipped`` the share of
    its videos that it may skip. With ``test_alone`` nothing but the test list is read, or needed.
    """

    uri: str
    format: Literal["ucf101", "list", "folders", "csv"]
    split: int = 1
    num_classes: int
    train: str | None = None
    val: str | None = None
    test: str | None = None
    videos: str | None = None
    media: Literal["videos", "frames"] = "videos"
    decode: Literal["sample", "all"] = "sample"
    leakage: Literal["refuse", "warn"] = "refuse"
    corrupt: Literal["fail", "skip"] = "fail"
    max_skipped: float = 0.0
    frames: int = 1
    span: int = 1
    test_alone: bool = False


class Weights(Document):
    """A checkpoint to start from, or to test as it is.

    ``name`` is its file name under ``pretrained/`` in the run directory; ``sha256_prefix`` the leading hex digits of
    its digest where the publisher states them.
    """

    uri: str
    name: str
    sha256_prefix: str | None = None


class Protocol(Document):
    """How a video becomes views when it is scored; numbers of two protocols cannot be compared."""

    clips: int
    crops: int
    short_side: int | None = None
    crop_size: int | None = None

    def __str__(self) -> str:
        return f"{self.clips}x{self.crops}"


class Run(Document):
    """One attempt of one job.

    ``model`` is the name of the recipe in MMAction2's zoo, ``frames`` what it sees of a clip: frames, interval and
    number (32x2x1). ``epochs`` of 0 train nothing: the weights in ``pretrained`` are tested, and what is of training
    alone is absent. ``warnings`` is what was decided in rendering that a user may not expect. ``trackers`` are told of
    the run beside its own record; where they are, the environment says. ``resume`` is whether an attempt goes on from
    the checkpoints of those before, of which ``keep_checkpoints`` are held in storage.
    """

    version: Literal["v1"] = "v1"
    job: JobIdentity
    world: World
    rendezvous: Rendezvous
    data: DataSource
    pretrained: Weights | None = None
    results_uri: str
    model: str = ""
    frames: str = ""
    warnings: tuple[str, ...] = ()
    config_sha256: str
    epochs: int
    effective_lr: float | None = None
    val_protocol: Protocol | None = None
    test_protocol: Protocol
    trackers: tuple[Tracker, ...] = ()
    resume: Resume = "IfPossible"
    keep_checkpoints: int = 2

    @property
    def starts_from_the_zoo(self) -> bool:
        """Whether its weights are the zoo's own, known by the digest in their name."""
        return self.pretrained is not None and self.pretrained.sha256_prefix is not None

    @property
    def trains(self) -> bool:
        """Whether anything is trained, before the test."""
        return self.epochs > 0
