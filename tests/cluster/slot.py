"""A place of its own for each server that runs: a number, a folder and addresses that nobody else has."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import cgroups, process

NUMBERS = range(1, 60)
CLAIM = 7700


@dataclass(frozen=True)
class Slot:
    """``number`` is unique on this machine while the slot is held."""

    number: int
    folder: Path

    @property
    def loopback(self) -> str:
        """An address for servers that need no root: all of 127.0.0.0/8 is this machine."""
        return loopback(self.number)


@contextmanager
def hold_slot() -> Iterator[Slot]:
    """A free slot, empty, for as long as the body runs.

    What holds it is a listening socket on the slot's loopback address: the kernel lets one process have it,
    whoever runs it, and takes it back however that process ends.
    """
    clear_abandoned()
    for number in NUMBERS:
        if held := claim(number):
            with held:
                slot = Slot(number, folder_of(number))
                clear(slot.folder)
                slot.folder.mkdir(parents=True, mode=0o700)
                try:
                    yield slot
                finally:
                    clear(slot.folder)
            return
    raise RuntimeError(f"{len(NUMBERS)} test servers run on this machine already: end some")


def clear_abandoned() -> None:
    """Remove what killed processes left: a slot whose number can be claimed is nobody's."""
    for number in NUMBERS:
        if folder_of(number).exists() and (held := claim(number)):
            with held:
                clear(folder_of(number))


def loopback(number: int) -> str:
    """The loopback address of a slot."""
    return f"127.77.{number}.1"


def claim(number: int) -> socket.socket | None:
    """Take a slot's number, unless somebody has it."""
    holder = socket.socket()
    try:
        holder.bind((loopback(number), CLAIM))
        holder.listen()
    except OSError:
        holder.close()
        return None
    return holder


def folder_of(number: int) -> Path:
    """The folder of a slot: on a disk, as containers write below it, and one for each user."""
    return Path(f"/var/tmp/mmaction-operator-tests-{os.getuid()}") / str(number)


def clear(folder: Path) -> None:
    """Remove what stands in a slot: processes, cgroups, files."""
    if not folder.exists():
        return
    process.end_leftovers(folder)
    cgroups.remove(folder.name)
    shutil.rmtree(folder)
