"""The vocabulary of the TrainJob models: the base model, bounded strings, and how a model declares a rule.

Everything the API server is told is declared on the models: bounds and defaults as pydantic has them, and what
pydantic has no word for as ``x-kubernetes-*`` keys of a field's JSON schema. Types are as strict as an API server's:
no number is read from text, none from a boolean; but 1.0 and 1e0 are integers, as JSON has numbers of one kind.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

RULES_BROKEN = "rules_broken"
"""Type of the validation error that carries the broken rules in its context, under ``broken``."""


@dataclass(frozen=True)
class Rule:
    """What must hold of an object, said twice: for an API server, and for everything that reads a manifest without one.

    Args:
        rule: CEL (``x-kubernetes-validations``): ``self`` is the object it stands on, ``oldSelf`` the stored one.
        message: what a user is told when it does not hold.
        holds: the twin of ``rule`` on the validated model; None where only an API server can tell, as the rule
            compares with the stored object.
        field: the field at fault, by its name in a manifest; empty for the object itself.
    """

    rule: str
    message: str
    holds: Callable[[Any], bool] | None = None
    field: str = ""

    def as_schema(self) -> dict[str, str]:
        """The rule as an API server reads it."""
        path = {"fieldPath": f".{self.field}"} if self.field else {}
        return {"rule": self.rule, "message": self.message, **path}


def _declare_rules(schema: dict[str, Any], model: type[APIModel]) -> None:
    if model.rules:
        schema["x-kubernetes-validations"] = [rule.as_schema() for rule in model.rules]


class APIModel(BaseModel):
    """Base of every object in the API: camelCase outside, frozen inside, unknown fields refused.

    ``rules`` are the rules of the object; they are checked here too, so that ``trainjob validate`` refuses what an API
    server refuses. Null stands for an absent value, as it does there.
    """

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        json_schema_extra=_declare_rules,
    )
    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _as_an_api_server_reads(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        present = {key: value for key, value in data.items() if value is not None or key not in cls._defaulted()}
        return {
            key: int(value) if isinstance(value, float) and value.is_integer() else value
            for key, value in present.items()
        }

    @classmethod
    def _defaulted(cls) -> set[str]:
        """Fields where an API server replaces null by a default: all that have one, but for ``nullable`` ones."""
        names = set[str]()
        for name, field in cls.model_fields.items():
            extra = field.json_schema_extra
            nullable = isinstance(extra, dict) and extra.get("nullable")
            if not field.is_required() and field.default is not None and not nullable:
                names |= {name, field.alias or name}
        return names

    @model_validator(mode="after")
    def _rules_hold(self) -> Self:
        broken = [rule for rule in self.rules if rule.holds and not rule.holds(self)]
        if broken:
            messages = "; ".join(f"{rule.field} {rule.message}".strip() for rule in broken)
            raise PydanticCustomError(RULES_BROKEN, "{messages}", {"messages": messages, "broken": broken})
        return self


LABEL_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"


def text(pattern: str, longest: int, accepts: str, *, least: int | None = 1) -> Any:
    """Bounds of a text: what it matches, how many characters it has, and in words what it is made of."""
    return Field(pattern=pattern, min_length=least, max_length=longest, json_schema_extra={"x-accepts": accepts})


# "x-accepts" says in words what a pattern accepts: for error messages and the reference, not for the API server.
# No pattern uses \s: pydantic's regular expressions and an API server's differ in what white space is.

DNSLabel = Annotated[
    str, text(LABEL_PATTERN, 63, "of lower-case letters, digits and -, beginning and ending with a letter or digit")
]
"""A name that Kubernetes accepts as a host name's label (RFC 1123)."""

ObjectName = Annotated[
    str,
    text(
        r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$",
        253,
        "of lower-case letters, digits, - and ., beginning and ending with a letter or digit",
    ),
]
"""A name that Kubernetes accepts for most objects (a DNS subdomain)."""

ConfigName = Annotated[
    str, text(r"^[A-Za-z0-9][A-Za-z0-9._-]*$", 200, "of letters, digits, ., _ and -, beginning with a letter or digit")
]

URI = Annotated[str, text(r"^[^\x00-\x20\x7f]+$", 1024, "without white space")]
"""``s3://bucket/prefix``, or a folder: absolute, or relative to the job file. No white space."""

RelativePath = Annotated[
    str, text(r"^[^/\x00-\x20\x7f][^\x00-\x20\x7f]*$", 512, "without white space, not beginning with /")
]
"""A path below the data set's URI."""

AbsolutePath = Annotated[str, text(r"^/[^\x00-\x20\x7f]*$", 512, "without white space, beginning with /")]
"""A path on a node."""

Quantity = Annotated[
    str, text(r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$", 32, "as Kubernetes writes quantities: 500m, 4, 16Gi")
]
"""An amount of CPU or memory, as Kubernetes writes it."""

Bytes = Annotated[
    str, text(r"^[0-9]+(\.[0-9]+)?(k|Ki|M|Mi|G|Gi|T|Ti)?$", 32, "bytes as Kubernetes writes them: 200Gi, 500G")
]
"""An amount of bytes, as Kubernetes writes it."""

LabelValue = Annotated[
    str,
    text(
        r"^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?$",
        63,
        "of letters, digits, -, _ and ., beginning and ending with a letter or digit",
        least=None,
    ),
]
"""The value of a Kubernetes label."""


def _without_nulls(value: Any) -> Any:
    """A map as an API server stores it: a key whose value is null is dropped, as a field would be."""
    return {key: each for key, each in value.items() if each is not None} if isinstance(value, dict) else value


WithoutNulls = BeforeValidator(_without_nulls)

Labels = Annotated[dict[str, LabelValue], Field(max_length=32), WithoutNulls]
"""Kubernetes labels."""

Annotations = Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=32), WithoutNulls]
"""Kubernetes annotations."""

ManagedBy = Annotated[
    str, text(r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?/[A-Za-z0-9._-]+$", 63, "as a domain, / and a name", least=None)
]
"""A controller's name."""

VariableName = Annotated[
    str, text(r"^[A-Za-z_][A-Za-z0-9_]*$", 256, "of letters, digits and _, not beginning with a digit")
]
"""The name of an environment variable."""


def _numbers_fit(value: Any) -> Any:
    """What holds no number larger than a float: an API server reads none."""
    parts, seen = [value], set()
    while parts:
        part = parts.pop()
        if isinstance(part, dict | list):
            if id(part) not in seen:  # YAML's aliases put one list in many places
                seen.add(id(part))
                parts += part.values() if isinstance(part, dict) else part
        elif isinstance(part, int) and abs(part) > sys.float_info.max:
            raise ValueError("holds a number larger than 1.8e308")
    return value


Free = Annotated[Any, AfterValidator(_numbers_fit)]
"""Data whose form is not ours to say."""

PassedOn = Annotated[
    dict[str, Free],
    Field(max_length=32, json_schema_extra={"additionalProperties": {"x-kubernetes-preserve-unknown-fields": True}}),
    WithoutNulls,
]
"""A part of a pod, as Kubernetes has it; marked as ``Overrides`` are, and for their reason."""

Timestamp = Annotated[datetime, Field(strict=False)]
"""A moment; RFC 3339 in JSON."""

Overrides = Annotated[
    dict[str, Free],
    Field(
        max_length=256,
        json_schema_extra={"additionalProperties": {"nullable": True, "x-kubernetes-preserve-unknown-fields": True}},
    ),
]
"""Free-form config data: the API server stores it as it is, nulls included.

The mark stands on the values, not on the map itself: CEL's ``self == oldSelf`` skips a key of an unknown map that the
other side lacks (Kubernetes 1.36), so a renamed key would pass as unchanged; a map's declared keys are all compared.
"""
