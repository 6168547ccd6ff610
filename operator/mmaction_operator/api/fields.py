"""The vocabulary of the TrainJob models: the base model, bounded strings, and how a model declares a CEL rule.

Everything the API server is told is declared on the models: bounds and defaults as pydantic has them, and what
pydantic cannot say to an API server (CEL rules, list keys, schemaless objects) as the small markers below.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel


@dataclass(frozen=True)
class Rule:
    """A CEL rule (``x-kubernetes-validations``): ``self`` is the object it stands on, ``oldSelf`` the stored one."""

    rule: str
    message: str


class APIModel(BaseModel):
    """Base of every object in the API: camelCase outside, frozen inside, unknown fields refused.

    ``rules`` are the CEL rules of the object. Each has a twin validator on the model, so that ``trainjob validate``
    refuses what the API server refuses.
    """

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="forbid")
    rules: ClassVar[tuple[Rule, ...]] = ()


DNSLabel = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", min_length=1, max_length=63)]
"""A name that Kubernetes accepts as a host name's label (RFC 1123)."""

ConfigName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", min_length=1, max_length=200)]

URI = Annotated[str, Field(pattern=r"^[^\s\x00]+$", min_length=1, max_length=1024)]
"""``s3://bucket/prefix``, or a folder: absolute, or relative to the job file. No white space."""

RelativePath = Annotated[str, Field(pattern=r"^[^/\s\x00][^\s\x00]*$", min_length=1, max_length=512)]
"""A path below the data set's URI."""

Overrides = Annotated[
    dict[str, Any],
    WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
]
"""Free-form config data: the API server stores it as it is."""
