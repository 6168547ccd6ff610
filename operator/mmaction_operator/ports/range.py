"""The ports that leases are cut from, kept clear of those that the kernel and Kubernetes hand out themselves.

A port inside the ephemeral range can be taken by any outgoing connection between the lease and the bind; one inside
the NodePort range by any Service. A range that touches either is refused rather than used with luck.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mmaction_trainer.contract.errors import ConfigFailure

FIRST_UNPRIVILEGED = 1024
NODE_PORTS = (30000, 32767)
"""Kubernetes' default --service-node-port-range."""

WELL_KNOWN = frozenset({23456})
"""Where Kubeflow's PyTorchJob and Volcano meet unless told otherwise: left to them."""

EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


@dataclass(frozen=True)
class PortRange:
    """``first`` to ``last``, both included, without ``reserved``.

    The default ends below 29400 and 29500, the defaults of torchrun and of nearly everyone else.

    Raises:
        ConfigFailure: the range is empty, or reaches below 1024 or into the NodePort range.
    """

    first: int = 20000
    last: int = 29399
    reserved: frozenset[int] = WELL_KNOWN

    def __post_init__(self) -> None:
        accepted = f"FIRST-LAST within {FIRST_UNPRIVILEGED}-{NODE_PORTS[0] - 1}"
        if self.first > self.last:
            raise ConfigFailure("ports", f"{self} ends before it begins", accepted=accepted)
        if self.first < FIRST_UNPRIVILEGED:
            raise ConfigFailure("ports", f"{self} reaches into the privileged ports", accepted=accepted)
        if self.last >= NODE_PORTS[0]:
            low, high = NODE_PORTS
            raise ConfigFailure("ports", f"{self} reaches into Kubernetes' NodePorts, {low}-{high}", accepted=accepted)
        if next(self.from_offset(0), None) is None:
            raise ConfigFailure("ports", f"every port of {self} is reserved", do="Widen the range.")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``20000-29399``.

        Raises:
            ConfigFailure: the text is not of that form, or not a range that can be used.
        """
        match = re.fullmatch(r"\s*([0-9]{1,5})\s*-\s*([0-9]{1,5})\s*", text)
        if match is None:
            raise ConfigFailure("ports", f"{text!r} is not a range of ports", accepted="FIRST-LAST, as in 20000-29399")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"

    def __len__(self) -> int:
        return self.last - self.first + 1

    def from_offset(self, start: int) -> Iterator[int]:
        """Every port that is not reserved, once, beginning ``start`` places into the range and going round."""
        for place in range(start, start + len(self)):
            port = self.first + place % len(self)
            if port not in self.reserved:
                yield port


def ephemeral_range(path: Path = EPHEMERAL) -> tuple[int, int]:
    """First and last port that this machine's kernel gives to outgoing connections."""
    first, last = path.read_text(encoding="ascii").split()
    return int(first), int(last)


def refuse_overlap(ports: PortRange, ephemeral: tuple[int, int]) -> None:
    """Refuse a range that the kernel gives outgoing connections from.

    Raises:
        ConfigFailure: the two overlap; names both.
    """
    first, last = ephemeral
    if ports.first <= last and first <= ports.last:
        raise ConfigFailure(
            "ports",
            f"{ports} overlaps this machine's ephemeral range {first}-{last} (net.ipv4.ip_local_port_range)",
            accepted=f"a range outside {first}-{last}",
            do="Any outgoing connection could take such a port first.",
        )
