"""The files of a data source as its formats see them: texts by line, and folders listed once however often asked."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from mmaction_trainer.contract.errors import DataFailure
from mmaction_trainer.storage import ObjectMissing, Storage, Stored

GLANCE = 1000
"""Files that are looked at to say what a folder holds instead of what was asked for."""


@dataclass(frozen=True)
class Line:
    """A line of a text file that is not blank, without the white space around it."""

    where: str
    text: str


class Holdings:
    """The files of one data source."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.listed: dict[str, dict[str, Stored]] = {}

    def files(self, folder: str) -> Mapping[str, Stored]:
        """Every file below a folder, by path relative to that folder; empty for the source itself."""
        if folder not in self.listed:
            self.listed[folder] = {below(folder, stored.key): stored for stored in self.storage.list(folder)}
        return self.listed[folder]

    def sizes(self, folder: str) -> Mapping[str, int]:
        """Bytes of every file below a folder, by path relative to that folder."""
        return {path: stored.size for path, stored in self.files(folder).items()}

    def holds(self, name: str) -> bool:
        """Whether there is such a file."""
        return self.storage.stat(name) is not None

    def text(self, name: str) -> str:
        """A text file, without a byte order mark.

        Raises:
            DataFailure: there is no such file, or it is not UTF-8.
        """
        try:
            return self.storage.read(name).decode("utf-8-sig")
        except ObjectMissing:
            raise DataFailure(
                name,
                f"no such file; {self.glance(posixpath.dirname(name))}",
                do="Add it, or name the lists in spec.dataset.lists and the layout in spec.dataset.format.",
            ) from None
        except UnicodeDecodeError as error:
            raise DataFailure(name, f"not text: {error}", accepted="text in UTF-8") from None

    def lines(self, name: str) -> tuple[Line, ...]:
        """The lines of a text file that are not blank, whatever their line ends.

        Raises:
            DataFailure: there is no such file, it is not UTF-8, or has no line.
        """
        numbered = enumerate(self.text(name).splitlines(), 1)
        lines = tuple(Line(f"{name}:{number}", line.strip()) for number, line in numbered if line.strip())
        if not lines:
            raise DataFailure(name, "lists nothing", accepted="at least one line")
        return lines

    def glance(self, folder: str) -> str:
        """What a folder holds, for people: the first few names, or those of the source itself if there are none."""
        keys = [below(folder, stored.key) for stored in islice(self.storage.list(folder), GLANCE)]
        if folder and not keys:
            return self.glance("")
        names = sorted({"".join(key.partition("/")[:2]) for key in keys})
        shown = ", ".join(names[:10] + (["..."] if len(names) > 10 else [])) or "nothing"
        return f"{posixpath.join(self.storage.uri, folder, '')} holds {shown}"


def below(folder: str, key: str) -> str:
    """A key as a path from a folder on; empty stands for the source itself."""
    return key.removeprefix(f"{folder}/") if folder else key
