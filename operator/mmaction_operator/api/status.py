"""What the controller reports: ``TrainJob.status``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from .fields import APIModel

Text = Annotated[str, Field(max_length=1024)]
Digest = Annotated[str, Field(max_length=64)]
Phase = Literal["Pending", "Validating", "Running", "Testing", "Succeeded", "Failed"]


class Condition(APIModel):
    """A condition, as every Kubernetes API has them (metav1.Condition)."""

    type: Annotated[str, Field(max_length=64)] = Field(description="Which aspect of the job this is about.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    observed_generation: int | None = Field(default=None, ge=0, description="Generation of the spec it was seen for.")
    last_transition_time: datetime = Field(description="When the status last changed.")
    reason: Annotated[str, Field(max_length=64)] = Field(description="Why, in one CamelCase word.")
    message: Annotated[str, Field(max_length=4096)] = Field(description="Why, in words that a user can act on.")


class BestStatus(APIModel):
    """The best validation so far."""

    top1: float = Field(ge=0, le=1, description="Top-1 accuracy by the validation protocol, as a fraction.")
    epoch: int = Field(ge=0, description="Epoch of that validation.")


class ProgressStatus(APIModel):
    """How far the training is."""

    epoch: int | None = Field(default=None, ge=0, description="Current epoch, from 1.")
    epochs: int | None = Field(default=None, ge=0, description="Epochs in all.")
    iteration: int | None = Field(default=None, ge=0, description="Iteration within the epoch.")
    iterations: int | None = Field(default=None, ge=0, description="Iterations of an epoch.")
    loss: float | None = Field(default=None, description="Smoothed training loss.")
    top1: float | None = Field(default=None, ge=0, le=1, description="Top-1 accuracy of the newest validation.")
    best: BestStatus | None = Field(default=None, description="The best validation so far.")
    eta: Annotated[str, Field(max_length=32)] | None = Field(default=None, description="Time left, such as 2h13m.")
    observed_at: datetime | None = Field(default=None, description="When the trainer said so.")


class ProtocolStatus(APIModel):
    """How a video becomes views when it is scored."""

    clips: int = Field(ge=1, description="Clips of a video.")
    crops: int = Field(ge=1, description="Crops of a clip.")


class ScoreStatus(APIModel):
    """Accuracies with the protocol they were measured by."""

    protocol: ProtocolStatus = Field(description="How a video becomes views.")
    top1: float = Field(ge=0, le=1, description="Top-1 accuracy, as a fraction.")
    top5: float = Field(ge=0, le=1, description="Top-5 accuracy, as a fraction.")


class ResultsStatus(APIModel):
    """What the job left in storage."""

    uri: Text = Field(description="Prefix that holds the results.")
    manifest_sha256: Digest | None = Field(default=None, alias="manifestSHA256", description="sha256 of manifest.json.")
    val: ScoreStatus | None = Field(default=None, description="The best checkpoint by the validation protocol.")
    test: ScoreStatus | None = Field(default=None, description="The best checkpoint by the test protocol.")


class TrainJobStatus(APIModel):
    """What is known of a job."""

    observed_generation: int | None = Field(default=None, ge=0, description="Generation of the spec this is about.")
    phase: Phase | None = Field(default=None, description="Where the job is on its way.")
    conditions: Annotated[list[Condition], Field(max_length=16)] = Field(
        default=[], description="Aspects of the job.", json_schema_extra={"x-list-key": "type"}
    )
    attempt: int | None = Field(default=None, ge=0, description="Which try this is, from 1.")
    port: int | None = Field(default=None, ge=1, le=65535, description="Port leased for this attempt's rendezvous.")
    nodes: Annotated[list[Annotated[str, Field(max_length=253)]], Field(max_length=1024)] = Field(
        default=[], description="Nodes that the pods run on."
    )
    effective_lr: float | None = Field(default=None, alias="effectiveLR", description="Learning rate of the recipe.")
    config_sha256: Digest | None = Field(
        default=None, alias="configSHA256", description="sha256 of the rendered config."
    )
    progress: ProgressStatus | None = Field(default=None, description="How far the training is.")
    results: ResultsStatus | None = Field(default=None, description="What the job left in storage.")
