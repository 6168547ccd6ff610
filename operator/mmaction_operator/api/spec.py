"""What a user asks for: ``TrainJob.spec``. One place for every field, its meaning, its bounds and its default.

The docstring of an object is its description in the CRD and the reference.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from mmaction_trainer.contract.run import Resume, Tracker

from .fields import URI, APIModel, ConfigName, ManagedBy, ObjectName, Overrides, Quantity, RelativePath, Rule
from .pods import PodsSpec

UCF101_CLASSES = 101
SKIPPED_SHARE = 0.01
CONTROLLER = "mmaction.dev/controller"
"""Who takes care of a job whose ``managedBy`` says nothing: an installation that was given no other name."""


class ModelSpec(APIModel):
    """Which model to train, and from which weights."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            # In MMAction2's configs pretrained=None means random weights; a null that became the default would be
            # the opposite. `nullable` keeps the null until this rule sees it.
            rule="has(self.pretrained)",
            holds=lambda model: model.pretrained is not None,
            message="null could mean either: write none for random weights, zoo for the zoo's checkpoint",
            field="pretrained",
        ),
    )

    config: ConfigName = Field(
        description="Name of a recognition config of MMAction2's zoo: the file name without .py. "
        "`trainjob zoo` lists them.",
        examples=["slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb"],
    )
    pretrained: URI = Field(
        default="zoo",
        description="Weights to start from: `zoo` is the checkpoint that the zoo publishes for this config, `none` "
        "starts from random weights, anything else is the URI of a checkpoint (s3://, http(s):// or a file).",
        examples=["zoo", "none", "s3://weights/slowfast.pth"],
        json_schema_extra={"nullable": True},
    )


class ListFiles(APIModel):
    """Names of the files that list the videos of each split, below the data set's URI; for formats list and csv."""

    train: RelativePath | None = Field(default=None, description="Default: train.txt, or train.csv for format csv.")
    val: RelativePath | None = Field(default=None, description="Default: val.txt, or val.csv for format csv.")
    test: RelativePath | None = Field(default=None, description="Default: the val list.")


class DatasetSpec(APIModel):
    """Videos and labels."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="self.format == 'ucf101' || has(self.numClasses)",
            holds=lambda dataset: dataset.format == "ucf101" or dataset.num_classes is not None,
            message="is required unless format is ucf101, which has 101 classes",
            field="numClasses",
        ),
        Rule(
            rule="!has(self.lists) || self.format in ['list', 'csv']",
            holds=lambda dataset: dataset.lists is None or dataset.format in ("list", "csv"),
            message="is for the formats list and csv; ucf101 and folders have fixed names",
            field="lists",
        ),
        Rule(
            rule="!has(self.maxSkippedShare) || self.corruptVideos == 'skip'",
            holds=lambda dataset: dataset.max_skipped_share is None or dataset.corrupt_videos == "skip",
            message="is for corruptVideos: skip; fail skips none",
            field="maxSkippedShare",
        ),
    )

    uri: URI = Field(
        description="Root of the data set: s3://bucket/prefix, or a folder (relative to the job file).",
        examples=["s3://datasets/ucf101"],
    )
    format: Literal["ucf101", "list", "folders", "csv"] = Field(
        description="Layout under the URI. `ucf101`: `videos/<class>/` and "
        "`annotations/{classInd,trainlistNN,testlistNN}.txt`. `list`: text files of `<path> <label>` lines. "
        "`folders`: `{train,val,test}/<class>/`. `csv`: files with the columns path and label, or Kinetics' own."
    )
    split: int = Field(default=1, ge=1, le=99, description="Which of the official splits; for format ucf101.")
    num_classes: int | None = Field(
        default=None, ge=2, le=100_000, description="Number of classes. Default for format ucf101: 101."
    )
    lists: ListFiles | None = None
    videos: RelativePath | None = Field(
        default=None,
        description="Folder below the URI that paths in list and csv files are relative to. Default: videos.",
    )
    decode: Literal["sample", "all"] = Field(
        default="sample",
        description="Which videos the preflight decodes: `sample` is a few of each split, `all` takes as long as "
        "fetching and opening every one.",
    )
    leakage: Literal["refuse", "warn"] = Field(
        default="refuse",
        description="What the preflight makes of videos that are in train and in val or test, by name or by content. "
        "With `warn` the job trains, and its accuracy says nothing of videos that it has not seen.",
    )

    corrupt_videos: Literal["fail", "skip"] = Field(
        default="fail",
        description="What a training does where one of its videos does not decode, or vanishes from storage. With "
        "`skip` the next one of the list takes its place, and the results name it. Validation and test always fail: "
        "numbers of other videos cannot be compared.",
    )
    max_skipped_share: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Share of the training videos that may be skipped; more fail. Default: 0.01.",
    )

    @property
    def skipped_share(self) -> float:
        """The share of training videos that may be skipped, the default applied."""
        if self.corrupt_videos == "fail":
            return 0.0
        return SKIPPED_SHARE if self.max_skipped_share is None else self.max_skipped_share

    @property
    def classes(self) -> int:
        """Number of classes, the default of the format applied."""
        return self.num_classes or UCF101_CLASSES


class InputSpec(APIModel):
    """What the model sees of a video. Absent values are the config's own."""

    frames: int | None = Field(default=None, ge=1, le=256, description="Frames in a clip (SampleFrames' clip_len).")
    frame_interval: int | None = Field(
        default=None, ge=1, le=256, description="Distance between two sampled frames, in frames of the video."
    )
    crop_size: int | None = Field(
        default=None, ge=32, le=1024, description="Height and width of the crop that the model sees, in pixels."
    )
    short_side: int | None = Field(
        default=None,
        ge=32,
        le=2048,
        description="Short side that a video is scaled to before it is cropped, in pixels. "
        "Default: the config's, in proportion to cropSize.",
    )


class TrainingSpec(APIModel):
    """The recipe. Absent values are the config's own."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="!has(self.lr) || self.lr > 0.0",
            holds=lambda training: training.lr is None or training.lr > 0,
            message="must be above 0",
            field="lr",
        ),
    )

    epochs: int | None = Field(
        default=None, ge=1, le=10_000, description="Epochs to train; every schedule of the config is scaled to them."
    )
    batch_size_per_gpu: int | None = Field(
        default=None,
        alias="batchSizePerGPU",
        ge=1,
        le=4096,
        description="Videos in a batch of one process (one GPU, or one CPU process); of the test with evaluation.only.",
    )
    lr: float | None = Field(
        default=None,
        ge=0,
        le=100,
        description="The learning rate that training uses, as it is. Default: the config's, scaled linearly from the "
        "batch size it was made for to this job's.",
    )
    precision: Literal["fp32", "fp16", "bf16"] = Field(
        default="fp32", description="fp16 and bf16 train with automatic mixed precision; fp16 with loss scaling."
    )
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="Seed of every random number generator.")
    val_interval: int | None = Field(default=None, ge=1, le=10_000, description="Epochs between two validations.")
    checkpoint_interval: int | None = Field(
        default=None, ge=1, le=10_000, description="Epochs between two checkpoints. Default: as valInterval."
    )
    checkpoint_iterations: int | None = Field(
        default=None,
        ge=1,
        le=2**31 - 1,
        description="Iterations between two checkpoints, beside those of checkpointInterval: less is lost where epochs "
        "are long. Default: none within an epoch, unless it is stopped.",
    )
    keep_checkpoints: int = Field(
        default=2, ge=1, le=1000, description="How many of the newest checkpoints to keep, beside the best one."
    )
    workers: int | None = Field(
        default=None, ge=0, le=256, description="Data-loading processes of each training process."
    )


def _no_boolean(value: object) -> object:
    """Refuses what pydantic's Literal lets pass: True equals 1 in Python, and is no integer to an API server."""
    if isinstance(value, bool):
        raise ValueError("a boolean is not a number")
    return value


Crops = Annotated[Literal[1, 3, 10], BeforeValidator(_no_boolean)]


class EvaluationSpec(APIModel):
    """The test protocol: views of a video that are scored and averaged. Absent values are the config's own."""

    clips: int | None = Field(default=None, ge=1, le=100, description="Clips sampled evenly from a video.")
    crops: Crops | None = Field(
        default=None, description="Crops of each clip: 1 (centre), 3 (along the long side) or 10 (corners, flipped)."
    )
    only: bool = Field(
        default=False,
        description="Test the weights of model.pretrained, and train nothing. Of the data set the test list alone is "
        "read.",
    )


class ResourcesSpec(APIModel):
    """Machines and devices."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="self.gpusPerNode == 0 || !has(self.processesPerNode) || self.processesPerNode == self.gpusPerNode",
            holds=lambda resources: (
                resources.gpus_per_node == 0
                or resources.processes_per_node is None
                or resources.processes_per_node == resources.gpus_per_node
            ),
            message="is for training on CPU (gpusPerNode: 0); with GPUs there is one process a GPU",
            field="processesPerNode",
        ),
    )

    nodes: int = Field(default=1, ge=1, le=1024, description="Nodes; torchrun's --nnodes.")
    gpus_per_node: int = Field(
        default=1, ge=0, le=64, description="GPUs on each node, one process each; 0 trains on CPU with gloo."
    )
    processes_per_node: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="Processes on each node for CPU training; torchrun's --nproc-per-node. Default: 1.",
    )
    cpus_per_node: Quantity | None = Field(
        default=None,
        description="CPU that each pod asks for on a cluster. Default: what the cluster gives.",
        examples=["8", "500m"],
    )
    memory_per_node: Quantity | None = Field(
        default=None,
        description="Memory that each pod asks for on a cluster, and is held to. Default: what the cluster gives.",
        examples=["64Gi"],
    )

    @property
    def ranks_per_node(self) -> int:
        """Processes on each node."""
        return self.gpus_per_node or self.processes_per_node or 1

    @property
    def world_size(self) -> int:
        """Processes of the whole job."""
        return self.nodes * self.ranks_per_node


class StorageSpec(APIModel):
    """Where results go: `<uri>/<namespace>/<name>/<uid>/`."""

    uri: URI = Field(
        description="s3://bucket/prefix, or a folder (relative to the job file) where the job runs on one machine.",
        examples=["s3://results/team-a"],
    )
    credentials_secret: ObjectName | None = Field(
        default=None,
        description="Secret whose keys (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL ...) become the "
        "trainer's environment on a cluster. Default: the installation's, else none. `trainjob run` uses the "
        "environment and the usual AWS files.",
    )


KEPT = (
    "model",
    "dataset",
    "input",
    "training",
    "evaluation",
    "resources",
    "storage",
    "trackers",
    "pods",
    "preflight",
    "backoffLimit",
    "resume",
)
KEPT_IF_GIVEN = ("activeDeadlineSeconds", "ttlSecondsAfterFinished", "managedBy")
"""Fields that cannot change; by whether they may be absent. CEL has no word for overrides alone: a job that has begun
keeps the config that it began with, whatever comes with a change of suspend."""


def _kept() -> str:
    """CEL: no other field than suspend changes."""
    given = (
        f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || self.{name} == oldSelf.{name})"
        for name in KEPT_IF_GIVEN
    )
    return " && ".join([*(f"self.{name} == oldSelf.{name}" for name in KEPT), *given])


OF_TRAINING = {
    "epochs": "epochs",
    "lr": "lr",
    "val_interval": "valInterval",
    "checkpoint_interval": "checkpointInterval",
    "checkpoint_iterations": "checkpointIterations",
}
"""Fields of ``training`` that say nothing of a test, and are absent unless somebody gives them."""


def _trains_nothing(training: TrainingSpec) -> bool:
    """Whether all that is given can be said of a test alone."""
    return training.precision == "fp32" and all(getattr(training, name) is None for name in OF_TRAINING)


class TrainJobSpec(APIModel):
    """One training: a model, a data set, a recipe, a test protocol, machines, and where results go.

    With `evaluation.only` it is one test instead.
    """

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="!self.evaluation.only || self.model.pretrained != 'none'",
            holds=lambda spec: not spec.evaluation.only or spec.model.pretrained != "none",
            message="evaluation.only tests the weights of pretrained, and these are none: name a checkpoint, or zoo",
            field="model",
        ),
        Rule(
            rule="!self.evaluation.only || (self.training.precision == 'fp32'"
            f"{''.join(f' && !has(self.training.{name})' for name in OF_TRAINING.values())})",
            holds=lambda spec: not spec.evaluation.only or _trains_nothing(spec.training),
            message=f"evaluation.only trains nothing: leave out precision, {', '.join(OF_TRAINING.values())}",
            field="training",
        ),
        Rule(
            rule=f"self == oldSelf || (self.suspend != oldSelf.suspend && {_kept()})",
            message="spec cannot change once the job exists, but for suspend; apply it under another name",
        ),
        Rule(
            rule="self.trackers.all(one, self.trackers.exists_one(other, other == one))",
            holds=lambda spec: len(set(spec.trackers)) == len(spec.trackers),
            message="must name each tracker once",
            field="trackers",
        ),
    )

    model: ModelSpec
    dataset: DatasetSpec
    input: InputSpec = InputSpec()
    training: TrainingSpec = TrainingSpec()
    evaluation: EvaluationSpec = EvaluationSpec()
    resources: ResourcesSpec = ResourcesSpec()
    storage: StorageSpec
    trackers: Annotated[list[Tracker], Field(max_length=3)] = Field(
        default=[],
        description="Tools that are told of the training as it runs, beside the record that it leaves in its results: "
        "`tensorboard` leaves event files there; `wandb` and `mlflow` report to where their own variables say "
        "(WANDB_API_KEY, MLFLOW_TRACKING_URI ...), on a cluster those of pods.env. The project, or experiment, is the "
        "job's namespace, the run has its name.",
        examples=["tensorboard"],
    )
    pods: PodsSpec = PodsSpec()
    preflight: bool = Field(
        default=True,
        description="Check data, storage, weights and model before any GPU is asked for: on a cluster in a small pod, "
        "with `trainjob run` as its first step.",
    )
    backoff_limit: int = Field(
        default=3,
        ge=0,
        le=100,
        description="On a cluster, how many failed attempts are tried again. Not counted: a port that something else "
        "took, a pod that was taken away. Never tried again: what a user has to mend (Config, Data, OutOfMemory ...).",
    )
    resume: Resume = Field(
        default="IfPossible",
        description="Whether an attempt goes on from the newest checkpoint of those before it. `IfPossible` begins "
        "anew where they saved none; `Required` fails then (Storage); `Never` always begins anew. A checkpoint that is "
        "not whole is passed over for an older one; where none is whole the attempt fails.",
    )
    suspend: bool = Field(
        default=False,
        description="On a cluster, let no pod train: those that do leave a checkpoint and are ended, and when it is "
        "false again the attempt goes on from there. The only field that may be changed.",
    )
    active_deadline_seconds: int | None = Field(
        default=None,
        ge=1,
        le=2**31 - 1,
        description="On a cluster, how long the job may train, all attempts since it was last resumed together, before "
        "it fails (Deadline). Default: the installation's, else for ever.",
    )
    ttl_seconds_after_finished: int | None = Field(
        default=None,
        ge=0,
        le=2**31 - 1,
        description="On a cluster, how long pods and what belongs to them are kept once the job is over. The TrainJob "
        "stays, with its status, and so do the results. Default: the installation's, else until the "
        "TrainJob is deleted.",
    )
    managed_by: ManagedBy | None = Field(
        default=None,
        description="Which controller takes care of the job: an installation of this product, by the name that it was "
        f"given, or another program. Default: {CONTROLLER}.",
        examples=[CONTROLLER, "kueue.x-k8s.io/multikueue"],
    )
    overrides: Overrides = Field(
        default={},
        description="Anything else of the MMAction2 config, as data, merged the way mmengine merges: dicts key by key, "
        "`_delete_: true` replaces a dict, lists are replaced whole.",
    )
