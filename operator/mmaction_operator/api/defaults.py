"""What TrainJobs need not say: a platform team's defaults, of a whole cluster and of single namespaces.

They are no part of the resource: an installation is told them, and takes them where a job says nothing. Where both say
something the job's word holds; maps are merged key by key, and lists are joined, the job's entries last.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import Field, ValidationError

from mmaction_trainer.contract.errors import ConfigFailure

from .explain import explain
from .fields import APIModel, ObjectName, Quantity
from .pods import PodsSpec
from .schema import described
from .trainjob import TrainJob


class ResourceDefaults(APIModel):
    """What each pod asks for."""

    cpus_per_node: Quantity | None = Field(default=None, description="As in a TrainJob.")
    memory_per_node: Quantity | None = Field(default=None, description="As in a TrainJob.")


class StorageDefaults(APIModel):
    """How results are reached."""

    credentials_secret: ObjectName | None = Field(default=None, description="As in a TrainJob.")


class Defaults(APIModel):
    """Parts of a TrainJob's spec, for jobs that say nothing of them."""

    pods: PodsSpec = PodsSpec()
    resources: ResourceDefaults = ResourceDefaults()
    storage: StorageDefaults = StorageDefaults()
    active_deadline_seconds: int | None = Field(default=None, ge=1, le=2**31 - 1, description="As in a TrainJob.")
    ttl_seconds_after_finished: int | None = Field(default=None, ge=0, le=2**31 - 1, description="As in a TrainJob.")


class TeamDefaults(APIModel):
    """The defaults of an installation."""

    everywhere: Defaults = Defaults()
    namespaces: Annotated[dict[str, Defaults], Field(max_length=1000)] = Field(
        default={}, description="By namespace; over those of everywhere, as a job is over these."
    )

    def applied_to(self, job: TrainJob) -> TrainJob:
        """A job with what it does not say."""
        spec = job.spec
        for defaults in (self.namespaces.get(job.metadata.namespace), self.everywhere):
            if defaults:
                spec = _filled(spec, defaults)
        return job.model_copy(update={"spec": spec})


Part = TypeVar("Part", bound=APIModel)

SECTIONS = (PodsSpec, ResourceDefaults, StorageDefaults)
"""What is filled field by field; any other object is taken whole."""


def _filled(own: Part, defaults: APIModel) -> Part:
    """An object with each field that it does not say as the defaults have it."""
    names = type(defaults).model_fields
    return own.model_copy(update={name: _chosen(getattr(own, name), getattr(defaults, name)) for name in names})


def _chosen(own: Any, default: Any) -> Any:
    if isinstance(default, SECTIONS):
        return _filled(own, default)
    if isinstance(default, dict) and own is not None:
        return {**default, **own}
    if isinstance(default, list):
        named = {entry.name for entry in own if hasattr(entry, "name")}
        return [*(entry for entry in default if getattr(entry, "name", None) not in named), *own]
    return default if own is None else own


def parse_defaults(text: str, source: str) -> TeamDefaults:
    """The defaults in JSON; none in an empty text.

    Raises:
        ConfigFailure: names every field that is wrong, what was found and what is accepted.
    """
    try:
        return TeamDefaults.model_validate_json(text or "{}", by_alias=True, by_name=False)
    except ValidationError as error:
        raise ConfigFailure(source, explain(error, described(TeamDefaults))) from None
