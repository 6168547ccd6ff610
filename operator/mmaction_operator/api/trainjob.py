"""The TrainJob resource itself, and how a manifest file is read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import ConfigDict, Field, ValidationError

from mmaction_trainer.contract.errors import ConfigFailure

from .fields import APIModel, DNSLabel
from .spec import TrainJobSpec
from .status import TrainJobStatus

GROUP = "mmaction.dev"
VERSION = "v1alpha1"
KIND = "TrainJob"
PLURAL = "trainjobs"
API_VERSION = f"{GROUP}/{VERSION}"


class Metadata(APIModel):
    """The part of Kubernetes' object metadata that the product reads; the rest is kept by the API server."""

    model_config = ConfigDict(extra="ignore")

    name: DNSLabel = Field(description="Name of the job: a host name's label, as pods are named after it.")
    namespace: DNSLabel = Field(default="default", description="Namespace of the job.")
    uid: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="Given by the API server; by `trainjob run` on one machine."
    )
    generation: int | None = Field(default=None, description="Given by the API server: counts changes of the spec.")


class TrainJob(APIModel):
    """A training of an action-recognition model with MMAction2."""

    columns: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("Phase", "string", ".status.phase"),
        ("Epoch", "integer", ".status.progress.epoch"),
        ("Top1", "number", ".status.progress.top1"),
        ("Best", "number", ".status.progress.best.top1"),
        ("Port", "integer", ".status.port"),
        ("ETA", "string", ".status.progress.eta"),
        ("Age", "date", ".metadata.creationTimestamp"),
    )

    api_version: Literal["mmaction.dev/v1alpha1"] = Field(description="mmaction.dev/v1alpha1")
    kind: Literal["TrainJob"] = Field(description="TrainJob")
    metadata: Metadata = Field(description="Name and namespace.")
    spec: TrainJobSpec = Field(description="What is asked for.")
    status: TrainJobStatus | None = Field(default=None, description="What is known of the job; not for users to write.")


def parse(document: Any, source: str = "TrainJob") -> TrainJob:
    """A TrainJob from the data of a manifest.

    Args:
        document: what YAML or JSON held.
        source: the file's name, for the message.

    Raises:
        ConfigFailure: names every field that is wrong, what was found and what is accepted.
    """
    if not isinstance(document, dict):
        raise ConfigFailure(source, f"found {type(document).__name__}", accepted="one TrainJob manifest")
    try:
        return TrainJob.model_validate(document)
    except ValidationError as error:
        raise ConfigFailure(source, _explain(error)) from None


def read(path: Path) -> TrainJob:
    """The TrainJob in a YAML or JSON file.

    Raises:
        ConfigFailure: the file is missing, is not YAML, holds several documents, or its TrainJob is wrong.
    """
    try:
        documents = list(yaml.safe_load_all(path.read_text()))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigFailure(str(path), f"cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigFailure(str(path), f"not YAML: {error}") from None
    if len(documents) != 1:
        raise ConfigFailure(str(path), f"found {len(documents)} documents", accepted="one TrainJob manifest")
    return parse(documents[0], str(path))


def _explain(error: ValidationError) -> str:
    """One line a wrong field: where, what was found, what is accepted."""
    lines = []
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"])
        found = "" if problem["type"] in ("missing", "extra_forbidden") else f" (found {_short(problem['input'])})"
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "missing":
            message = "is required"
        elif problem["type"] == "extra_forbidden":
            message = "is not a field here"
        lines.append(f"{where or 'manifest'}: {message}{found}")
    return lines[0] if len(lines) == 1 else "\n  " + "\n  ".join(dict.fromkeys(lines))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
