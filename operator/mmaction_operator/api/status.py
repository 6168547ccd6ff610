"""What the controller reports: ``TrainJob.status``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from mmaction_trainer.contract.result import LONGEST_LINE, MOST_LINES

from .fields import APIModel, Timestamp

LONGEST_TEXT = 1024
Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
Line = Annotated[str, Field(max_length=LONGEST_LINE)]
ResultsURI = Annotated[str, Field(max_length=1280)]
"""As long as any ``storage.uri`` with the job's namespace, name and uid behind it."""
Digest = Annotated[str, Field(max_length=64)]
Phase = Literal["Pending", "Validating", "Starting", "Running", "Testing", "Suspended", "Succeeded", "Failed"]


class StatusModel(APIModel):
    """Base of what the controller writes and reads again: fields that a newer version wrote are passed over."""

    model_config = ConfigDict(extra="ignore")


class Condition(StatusModel):
    """A condition, as every Kubernetes API has them (metav1.Condition)."""

    type: Annotated[str, Field(max_length=64)] = Field(description="Which aspect of the job this is about.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    observed_generation: int | None = Field(default=None, ge=0, description="Generation of the spec it was seen for.")
    last_transition_time: Timestamp = Field(description="When the status last changed.")
    reason: Annotated[str, Field(max_length=64)] = Field(description="Why, in one CamelCase word.")
    message: Annotated[str, Field(max_length=4096)] = Field(description="Why, in words that a user can act on.")


class BestStatus(StatusModel):
    """The best validation so far."""

    top1: float = Field(ge=0, le=1, description="Top-1 accuracy by the validation protocol, as a fraction.")
    epoch: int = Field(ge=0, description="Epoch of that validation.")


class ProgressStatus(StatusModel):
    """How far the job is."""

    epoch: int | None = Field(default=None, ge=0, description="Current epoch, from 1.")
    epochs: int | None = Field(default=None, ge=0, description="Epochs in all.")
    iteration: int | None = Field(default=None, ge=0, description="Iteration within the epoch.")
    iterations: int | None = Field(default=None, ge=0, description="Iterations of an epoch.")
    loss: float | None = Field(default=None, description="Smoothed training loss.")
    top1: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Top-1 accuracy of the newest validation; of the test where nothing is trained.",
    )
    best: BestStatus | None = None
    eta: Annotated[str, Field(max_length=32)] | None = Field(default=None, description="Time left, such as 2h13m.")
    observed_at: Timestamp | None = Field(default=None, description="When the trainer said so.")


class ResumedStatus(StatusModel):
    """From where an attempt went on."""

    attempt: int = Field(ge=1, description="Attempt that saved the checkpoint.")
    epoch: int = Field(ge=0, description="Epochs that were done.")
    iteration: int = Field(ge=0, description="Iterations that were done, of all epochs together.")


class ProtocolStatus(StatusModel):
    """How a video becomes views when it is scored."""

    clips: int = Field(ge=1, description="Clips of a video.")
    crops: int = Field(ge=1, description="Crops of a clip.")


class ScoreStatus(StatusModel):
    """Accuracies with the protocol they were measured by."""

    protocol: ProtocolStatus
    top1: float = Field(ge=0, le=1, description="Top-1 accuracy, as a fraction.")
    top5: float = Field(ge=0, le=1, description="Top-5 accuracy, as a fraction.")


class ResultsStatus(StatusModel):
    """What the job left in storage."""

    uri: ResultsURI = Field(description="Prefix that holds the results.")
    manifest_sha256: Digest | None = Field(default=None, alias="manifestSHA256", description="sha256 of manifest.json.")
    val: ScoreStatus | None = Field(default=None, description="The best checkpoint by the validation protocol.")
    test: ScoreStatus | None = Field(
        default=None, description="The best checkpoint, or the weights that the job only tests, by the test protocol."
    )


class FailureStatus(StatusModel):
    """An attempt that failed. It counts as what it was taken for, whatever becomes of its Job and pods."""

    attempt: int = Field(ge=1, description="Which try it was.")
    reason: Annotated[str, Field(max_length=64)] = Field(description="Class of the failure.")
    message: Text | None = Field(default=None, description="What failed, and what to do about it.")
    rank: int | None = Field(default=None, ge=0, description="Rank that failed first, where that is known.")
    pod: Annotated[str, Field(max_length=253)] | None = Field(default=None, description="Pod that failed first.")
    node: Annotated[str, Field(max_length=253)] | None = Field(default=None, description="Node that this pod ran on.")
    last_lines: Annotated[list[Line], Field(max_length=MOST_LINES)] = Field(
        default=[],
        description="What that rank printed last; of one that hung, where it stood. Of the newest failure alone.",
    )
    port: int | None = Field(default=None, ge=1, le=65535, description="Port that it had.")
    began: Timestamp | None = Field(default=None, description="When its Job began.")
    ended: Timestamp | None = Field(default=None, description="When its Job failed.")


class TrainJobStatus(StatusModel):
    """What is known of the job; not for users to write."""

    observed_generation: int | None = Field(default=None, ge=0, description="Generation of the spec this is about.")
    phase: Phase | None = Field(default=None, description="Where the job is on its way, in one word.")
    conditions: Annotated[list[Condition], Field(max_length=16)] = Field(
        default=[],
        description="Aspects of the job.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    attempt: int | None = Field(default=None, ge=0, description="Which try this is, from 1.")
    port: int | None = Field(default=None, ge=1, le=65535, description="Port leased for this attempt's rendezvous.")
    resumed_from: ResumedStatus | None = Field(
        default=None, description="The checkpoint that this attempt went on from; absent where it began anew."
    )
    failures: Annotated[list[FailureStatus], Field(max_length=128)] = Field(
        default=[], description="Attempts that failed, in their order."
    )
    nodes: Annotated[list[Annotated[str, Field(max_length=253)]], Field(max_length=1024)] = Field(
        default=[], description="Nodes that the pods run on."
    )
    effective_lr: float | None = Field(default=None, alias="effectiveLR", description="Learning rate of the recipe.")
    config_sha256: Digest | None = Field(
        default=None, alias="configSHA256", description="sha256 of the rendered config."
    )
    progress: ProgressStatus | None = None
    results: ResultsStatus | None = None
