"""Which GPUs a run on this machine may use, each under one name that every shell agrees on.

CUDA_VISIBLE_DEVICES is kept to: it is how people divide a machine by hand. But it names a GPU by index, by UUID or by
the start of one, and an index means another GPU in another container, or where CUDA sorts by speed. A lease works
only if two shells that mean the same GPU say the same, so all become UUIDs, as far as nvidia-smi can be asked. The
child gets the UUID as well, and so the very GPU that was leased.

``nvidia-smi -L`` is asked because it alone lists MIG instances, and in the form that CUDA_VISIBLE_DEVICES takes. A GPU
in MIG mode stands for its instances: CUDA would use one of them, which may be under another run's lease.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

VARIABLE = "CUDA_VISIBLE_DEVICES"
PATIENCE = 60
"""Seconds for nvidia-smi, which first wakes every GPU that no driver daemon keeps awake."""

CARD = re.compile(r"GPU (\d+): .*\(UUID: (GPU-[^)]+)\)")
INSTANCE = re.compile(r"\s+MIG .*\(UUID: (MIG-[^)]+)\)")


@dataclass(frozen=True)
class Card:
    """A GPU as nvidia-smi lists it, with the MIG instances that it is divided into, if any."""

    index: str
    uuid: str
    instances: tuple[str, ...] = ()

    @property
    def devices(self) -> tuple[str, ...]:
        """UUIDs of what can be used of it."""
        return self.instances or (self.uuid,)


def visible_gpus(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The GPUs that CUDA_VISIBLE_DEVICES leaves to this process, or all there are; none where there is no driver.

    Each is both the key to lease and what to put into the child's CUDA_VISIBLE_DEVICES: the UUID of a GPU or of a MIG
    instance, or an index where there is no nvidia-smi to ask for one.
    """
    wanted = environ.get(VARIABLE)
    if wanted is not None and not resolve(wanted, ()):
        return ()
    cards = parse_listing(_nvidia_smi(environ.get("PATH")))
    if wanted is None:
        return tuple(device for card in cards for device in card.devices)
    return tuple(dict.fromkeys(resolve(wanted, cards)))


def resolve(wanted: str, cards: Sequence[Card]) -> list[str]:
    """The devices that a CUDA_VISIBLE_DEVICES names, in its order.

    As CUDA does, reads up to the first entry that names nothing (``-1``, an index too high) and forgets the rest.
    Without ``cards`` to look in, entries stand for themselves.
    """
    names: list[str] = []
    for entry in (part.strip() for part in wanted.split(",")):
        name = _device(entry, cards) if cards else _as_written(entry)
        if name is None:
            break
        names.append(name)
    return names


def _device(entry: str, cards: Sequence[Card]) -> str | None:
    if entry.isdecimal():
        found = [card.devices[0] for card in cards if int(card.index) == int(entry)]
    elif entry.startswith("GPU-"):
        found = [card.devices[0] for card in cards if card.uuid.startswith(entry)]
    elif entry.startswith("MIG-"):
        found = [instance for card in cards for instance in card.instances if instance.startswith(entry)]
    else:
        found = []
    return found[0] if len(found) == 1 else None


def _as_written(entry: str) -> str | None:
    if entry.isdecimal():
        return str(int(entry))
    return entry if entry.startswith(("GPU-", "MIG-")) else None


def parse_listing(text: str) -> tuple[Card, ...]:
    """Read what ``nvidia-smi -L`` prints: a line for each GPU, an indented one for each MIG instance under it."""
    cards: list[Card] = []
    for line in text.splitlines():
        if card := CARD.match(line):
            cards.append(Card(index=card[1], uuid=card[2]))
        elif cards and (instance := INSTANCE.match(line)):
            last = cards.pop()
            cards.append(Card(last.index, last.uuid, (*last.instances, instance[1])))
    return tuple(cards)


def _nvidia_smi(path: str | None) -> str:
    program = shutil.which("nvidia-smi", path=path)
    if program is None:
        return ""
    try:
        done = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout  # whatever the exit status: one GPU that fell off the bus does not hide the others
