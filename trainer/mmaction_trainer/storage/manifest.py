"""``manifest.json``: what a job left in storage, object by object. It is there only when all of them are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Self

from pydantic import Field, JsonValue, ValidationError, field_validator

from ..contract.document import Document
from ..contract.errors import StorageFailure
from ..contract.run import JobIdentity
from .interface import Stored
from .keys import key_fault

MANIFEST = "manifest.json"


class Entry(Document):
    """One object: its path below the manifest, its size in bytes, its sha256 in hex."""

    path: str
    size: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")

    @field_validator("path")
    @classmethod
    def _stays_below(cls, path: str) -> str:
        if fault := key_fault(path):
            raise ValueError(f"path {path!r} {fault}")
        return path


class Manifest(Document):
    """What an attempt of a job left. ``summary`` is its result.json, enough to rank it among others."""

    version: Literal["v1"] = "v1"
    job: JobIdentity
    created_at: datetime
    objects: tuple[Entry, ...]
    summary: dict[str, JsonValue] = Field(default_factory=dict)

    @classmethod
    def parse(cls, content: bytes, uri: str) -> Self:
        """A manifest from its text.

        Raises:
            StorageFailure: it is none; ``uri`` is where it was found.
        """
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise StorageFailure(uri, f"not a manifest: {place} {first['msg']}".replace("  ", " ")) from None


@dataclass(frozen=True)
class Problem:
    """How an object differs from what the manifest says of it."""

    path: str
    kind: Literal["missing", "size", "sha256"]
    found: str
    expected: str

    def __str__(self) -> str:
        if self.kind == "missing":
            return f"{self.path} is missing"
        return f"{self.path} has {self.kind} {self.found}, not {self.expected}"


def compare(entry: Entry, held: Stored | None) -> Problem | None:
    """How what storage holds differs from the entry, or None; a digest that is not known is not compared."""
    if held is None:
        return Problem(entry.path, "missing", "nothing", f"{entry.size} bytes")
    if held.size != entry.size:
        return Problem(entry.path, "size", str(held.size), str(entry.size))
    if held.sha256 is not None and held.sha256 != entry.sha256:
        return Problem(entry.path, "sha256", held.sha256, entry.sha256)
    return None


def differences(objects: Iterable[Entry], held: Mapping[str, Stored]) -> list[Problem]:
    """How what storage holds, by key, differs from the manifest's objects."""
    return [problem for entry in objects if (problem := compare(entry, held.get(entry.path)))]


def several(problems: list[Problem]) -> str:
    """The first few problems in a sentence, with how many there are."""
    first = ", ".join(map(str, problems[:3]))
    return first if len(problems) <= 3 else f"{first} and {len(problems) - 3} more"
