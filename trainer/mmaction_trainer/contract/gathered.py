"""Several things found wrong, told at once: a user who mends them one by one waits for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from .errors import Failure


class Gathered:
    """Keeps the failures of steps that do not depend on each other.

    found = Gathered()
    with found.step():
        check_one_thing()
    with found.step():
        check_another()
    found.refuse()
    """

    def __init__(self) -> None:
        self.failures: list[Failure] = []

    @contextmanager
    def step(self) -> Iterator[None]:
        """Keep the failure of the body, and go on behind it."""
        try:
            yield
        except Failure as failure:
            self.failures.append(failure)

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
