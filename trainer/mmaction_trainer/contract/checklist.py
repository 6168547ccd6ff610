"""Checks that are all made, whatever the others find: a user who mends faults one by one waits for each."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from .document import as_unicode
from .errors import Failure
from .preflight import CHECKS, Check, Preflight
from .result import FailureReport


@dataclass
class Notes:
    """What one check has found so far."""

    said: str = ""
    failures: list[Failure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        """What it comes to."""
        return "failed" if self.failures else "warned" if self.warnings else "passed"


class Checklist:
    """Keeps what checks find.

    checks = Checklist()
    with checks.check("lists") as notes:
        lists = read()
        notes.said = f"{len(lists)} videos"
    if not checks.failed("lists"):
        with checks.check("labels"):
            check_labels(lists)
    checks.refuse()
    """

    def __init__(self) -> None:
        self.made: dict[str, Check] = {}
        self.failures: list[Failure] = []

    @contextmanager
    def check(self, name: str) -> Iterator[Notes]:
        """Make a check in the body; a failure that it raises is kept, and ends the body alone."""
        notes, began = Notes(), time.monotonic()
        try:
            yield notes
        except Failure as failure:
            notes.failures.append(failure)
        self.failures += notes.failures
        self.made[name] = Check(
            name=name,
            outcome=notes.outcome,
            seconds=round(time.monotonic() - began, 3),
            said=as_unicode(notes.said),
            errors=tuple(map(FailureReport.of, notes.failures)),
            warnings=tuple(map(as_unicode, notes.warnings)),
        )

    def add(self, checks: Iterable[Check]) -> None:
        """Take in checks that another process made."""
        for check in checks:
            self.made[check.name] = check
            self.failures += (error.cause for error in check.errors)

    def skip(self, *names: str, why: str) -> None:
        """Say that checks could not be made."""
        for name in names:
            self.made[name] = Check(name=name, outcome="skipped", said=why)

    def failed(self, *names: str) -> bool:
        """Whether one of these checks failed."""
        return any(self.made[name].outcome == "failed" for name in names)

    @property
    def report(self) -> Preflight:
        """What all of them found, in the order that ``CHECKS`` has."""
        return Preflight(checks=tuple(self.made[name] for name in CHECKS if name in self.made))

    def refuse(self) -> None:
        """Raise what was kept, if anything was.

        Raises:
            Failure: as ``together`` makes it.
        """
        if self.failures:
            raise together(self.failures)


def together(failures: Sequence[Failure]) -> Failure:
    """One failure that says all of them.

    Its class and place are those of the lowest exit code, as it is the one that trying again helps least: data that is
    wrong stays so, and storage that does not answer may do so later.
    """
    first, *others = sorted(failures, key=lambda failure: failure.exit_code)
    if not others:
        return first
    also = " ".join(f"Also: {other.name}: {str(other).removesuffix('.')}." for other in others)
    do = f"{first.do.removesuffix('.')}. {also}" if first.do else also
    return type(first)(first.where, first.found, accepted=first.accepted, do=do)
