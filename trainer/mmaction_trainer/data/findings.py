"""How many things wrong in the same way become one message that names the first few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mmaction_trainer.contract.errors import DataFailure

SHOWN = 4


@dataclass(frozen=True)
class Finding:
    """What was found at one place, such as a line of a list."""

    where: str
    found: str


def refuse(findings: Sequence[Finding], *, accepted: str = "", do: str = "") -> None:
    """Say all findings of one kind in one failure; none are fine.

    Raises:
        DataFailure: there is a finding. It is placed at the first, shows ``SHOWN`` of them and counts the rest.
    """
    if not findings:
        return
    first, *others = findings
    shown = [f"{finding.where}: {finding.found}" for finding in others[: SHOWN - 1]]
    left = len(findings) - 1 - len(shown)
    also = f" (also {', '.join(shown)}{f', and {left:,} more' if left else ''})" if shown else ""
    raise DataFailure(first.where, first.found + also, accepted=accepted, do=do)
