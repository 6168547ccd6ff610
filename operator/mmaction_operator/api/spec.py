"""What a user asks for: ``TrainJob.spec``. One place for every field, its meaning, its bounds and its default."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from .fields import URI, APIModel, ConfigName, DNSLabel, Overrides, RelativePath, Rule

UCF101_CLASSES = 101


class ModelSpec(APIModel):
    """Which model to train, and from which weights."""

    config: ConfigName = Field(
        description="Name of a recognition config of MMAction2's zoo: the file name without .py. "
        "`trainjob zoo` lists them.",
        examples=["slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb"],
    )
    pretrained: URI = Field(
        default="zoo",
        description="Weights to start from: `zoo` is the checkpoint that the zoo publishes for this config, `none` "
        "starts from random weights, anything else is the URI of a checkpoint (s3://, http(s):// or a file).",
    )


class ListFiles(APIModel):
    """Names of the files that list the videos of each split, below the data set's URI."""

    train: RelativePath | None = Field(default=None, description="Default: train.txt, or train.csv for format csv.")
    val: RelativePath | None = Field(default=None, description="Default: val.txt, or val.csv for format csv.")
    test: RelativePath | None = Field(default=None, description="Default: the val list.")


class DatasetSpec(APIModel):
    """Videos and labels."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="self.format == 'ucf101' || has(self.numClasses)",
            message="numClasses is required unless format is ucf101 (101 classes)",
        ),
        Rule(
            rule="!has(self.lists) || self.format in ['list', 'csv']",
            message="lists is for the formats list and csv; ucf101 and folders have fixed names",
        ),
    )

    uri: URI = Field(
        description="Root of the data set: s3://bucket/prefix, or a folder (relative to the job file).",
        examples=["s3://datasets/ucf101"],
    )
    format: Literal["ucf101", "list", "folders", "csv"] = Field(
        description="Layout under the URI. `ucf101`: videos/<class>/ and annotations/{classInd,trainlistNN,testlistNN}"
        ".txt. `list`: text files of `<path> <label>` lines. `folders`: {train,val,test}/<class>/. `csv`: files with "
        "the columns path and label, or Kinetics' own columns."
    )
    split: int = Field(default=1, ge=1, le=99, description="Which of the official splits; for format ucf101.")
    num_classes: int | None = Field(
        default=None, ge=2, le=100_000, description="Number of classes. Default for format ucf101: 101."
    )
    lists: ListFiles | None = Field(default=None, description="Names of the list files, for formats list and csv.")
    videos: RelativePath | None = Field(
        default=None,
        description="Folder below the URI that paths in list and csv files are relative to. Default: videos.",
    )

    @property
    def classes(self) -> int:
        """Number of classes, the default of the format applied."""
        return self.num_classes or UCF101_CLASSES

    @model_validator(mode="after")
    def _rules_hold(self) -> Self:
        if self.format != "ucf101" and self.num_classes is None:
            raise ValueError(self.rules[0].message)
        if self.lists is not None and self.format not in ("list", "csv"):
            raise ValueError(self.rules[1].message)
        return self


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

    epochs: int | None = Field(
        default=None, ge=1, le=10_000, description="Epochs to train; every schedule of the config is scaled to them."
    )
    batch_size_per_gpu: int | None = Field(
        default=None,
        alias="batchSizePerGPU",
        ge=1,
        le=4096,
        description="Videos in a batch of one process (one GPU, or one CPU process).",
    )
    lr: float | None = Field(
        default=None,
        ge=1e-12,
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
    keep_checkpoints: int = Field(
        default=2, ge=1, le=1000, description="How many of the newest checkpoints to keep, beside the best one."
    )
    workers: int | None = Field(
        default=None, ge=0, le=256, description="Data-loading processes of each training process."
    )


class EvaluationSpec(APIModel):
    """The test protocol: views of a video that are scored and averaged. Absent values are the config's own."""

    clips: int | None = Field(default=None, ge=1, le=100, description="Clips sampled evenly from a video.")
    crops: Literal[1, 3, 10] | None = Field(
        default=None, description="Crops of each clip: 1 (centre), 3 (along the long side) or 10 (corners, flipped)."
    )


class ResourcesSpec(APIModel):
    """Machines and devices."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="self.gpusPerNode == 0 || !has(self.processesPerNode) || self.processesPerNode == self.gpusPerNode",
            message="processesPerNode is for CPU training (gpusPerNode: 0); with GPUs there is one process a GPU",
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

    @property
    def ranks_per_node(self) -> int:
        """Processes on each node."""
        return self.gpus_per_node or self.processes_per_node or 1

    @property
    def world_size(self) -> int:
        """Processes of the whole job."""
        return self.nodes * self.ranks_per_node

    @model_validator(mode="after")
    def _rules_hold(self) -> Self:
        if self.gpus_per_node and self.processes_per_node not in (None, self.gpus_per_node):
            raise ValueError(self.rules[0].message)
        return self


class StorageSpec(APIModel):
    """Where results go: <uri>/<namespace>/<name>/<uid>/."""

    uri: URI = Field(
        description="s3://bucket/prefix, or a folder (relative to the job file) where the job runs on one machine.",
        examples=["s3://results/team-a"],
    )
    credentials_secret: DNSLabel | None = Field(
        default=None,
        description="Secret whose keys (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL ...) become the "
        "trainer's environment on a cluster. `trainjob run` uses the environment and the usual AWS files.",
    )


class TrainJobSpec(APIModel):
    """One training: a model, a data set, a recipe, a test protocol, machines, and where results go."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(rule="self == oldSelf", message="spec cannot change once the job exists; apply it under another name"),
    )

    model: ModelSpec = Field(description="Which model to train, and from which weights.")
    dataset: DatasetSpec = Field(description="Videos and labels.")
    input: InputSpec = Field(default=InputSpec(), description="What the model sees of a video.")
    training: TrainingSpec = Field(default=TrainingSpec(), description="The recipe.")
    evaluation: EvaluationSpec = Field(default=EvaluationSpec(), description="The test protocol.")
    resources: ResourcesSpec = Field(default=ResourcesSpec(), description="Machines and devices.")
    storage: StorageSpec = Field(description="Where results go.")
    overrides: Overrides = Field(
        default={},
        description="Anything else of the MMAction2 config, as data, merged the way mmengine merges: dicts key by key, "
        "`_delete_: true` replaces a dict, lists are replaced whole.",
    )
