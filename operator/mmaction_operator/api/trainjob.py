"""The TrainJob resource itself, and how a manifest file is read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, ValidationError
from yaml import MarkedYAMLError, YAMLError

from mmaction_trainer.contract.errors import ConfigFailure

from .explain import explain
from .fields import LABEL_PATTERN, APIModel, DNSLabel, Rule
from .manifest import load_documents
from .schema import described
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
    labels: dict[str, str] = Field(default={}, description="Labels; of Kueue's, the attempts' Jobs have them too.")


class TrainJob(APIModel):
    """A training of an action-recognition model with MMAction2."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule=f"size(self.metadata.name) <= 63 && self.metadata.name.matches('{LABEL_PATTERN}')",
            holds=lambda job: len(job.metadata.name) <= 63,
            message="metadata.name must be a host name's label: at most 63 lower-case letters, digits and -",
        ),
    )
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
    metadata: Metadata
    spec: TrainJobSpec
    status: TrainJobStatus | None = None


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
        return TrainJob.model_validate(document, by_alias=True, by_name=False)
    except ValidationError as error:
        raise ConfigFailure(source, explain(error, described(TrainJob))) from None


def read(path: Path) -> TrainJob:
    """The TrainJob in a YAML or JSON file.

    Raises:
        ConfigFailure: the file is missing, is not YAML, holds several documents, or its TrainJob is wrong.
    """
    try:
        documents = load_documents(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigFailure(str(path), f"cannot be read: {error}") from None
    except MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigFailure(f"{path}{line}", f"cannot be read as YAML: {error.problem}") from None
    except YAMLError as error:
        raise ConfigFailure(str(path), f"cannot be read as YAML: {error}") from None
    if len(documents) != 1:
        raise ConfigFailure(str(path), f"found {len(documents)} documents", accepted="one TrainJob manifest")
    return parse(documents[0], str(path))
