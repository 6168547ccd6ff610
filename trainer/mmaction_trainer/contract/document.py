"""How a contract value becomes a file and back: camelCase JSON, written beside and renamed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from .errors import ConfigFailure


class Document(BaseModel):
    """A frozen value that travels as JSON.

    Unknown keys are ignored when read, so that an older reader understands a newer writer.
    """

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore")

    def to_json(self) -> str:
        """The document as JSON text; absent values are left out."""
        return self.model_dump_json(by_alias=True, exclude_none=True, indent=2) + "\n"

    def write(self, path: Path) -> None:
        """Write the document so that a reader sees the old text or the new one, never a part."""
        replace_file(path, self.to_json().encode())

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a document.

        Raises:
            ConfigFailure: the file is missing or does not hold such a document.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise ConfigFailure(str(path), "no such file", do="It is written by whoever starts the run.") from None
        except ValidationError as error:
            raise ConfigFailure(str(path), f"not a {cls.__name__}: {error.errors()[0]['msg']}") from None


def replace_file(path: Path, content: bytes) -> None:
    """Write ``content`` to a file beside ``path``, then rename it there."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_bytes(content)
    os.replace(beside, path)


def as_unicode(text: str) -> str:
    """The text with bytes of a file name that are not UTF-8 spelled out: neither JSON nor a terminal can hold them."""
    return text.encode(errors="backslashreplace").decode()
