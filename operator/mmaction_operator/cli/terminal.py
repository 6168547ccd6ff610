"""What a run looks like: a live line on a terminal, plain lines in a file or a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mmaction_operator.api.status import ProgressStatus
from mmaction_operator.local.launcher import Watcher
from mmaction_trainer.contract.progress import Progress
from mmaction_trainer.contract.result import FailureReport

# A pipe or a file has no width of its own; rich would fold tables at 80 columns.
output = Console(highlight=False, width=None if sys.stdout.isatty() else 400)
errors = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 400)


@contextmanager
def watching(title: str, console: Console) -> Iterator[Watcher]:
    """A watcher that shows on a console what happens."""
    if not console.is_terminal:
        yield Watcher(say=lambda text: _print(f"{title}: {text}", console), show=_Lines(title, console).show)
        return
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        yield Watcher(
            say=lambda text: _print(text, console), show=lambda progress: live.update(picture(title, progress))
        )


def picture(title: str, progress: Progress) -> Table:
    """Progress as one line with a bar."""
    done, total = progress.iteration or 0, progress.iterations or 0
    stage = f"{headline(progress)} {done}/{total}" if total else headline(progress)
    grid = Table.grid(padding=(0, 1))
    for width in (len(title), len(stage), 12, 0):
        grid.add_column(no_wrap=True, min_width=width)
    bar = ProgressBar(total=total or None, completed=done, width=12, pulse=not total)
    grid.add_row(title, stage, bar, words(progress))
    return grid


def headline(progress: Progress) -> str:
    """The stage; once it is done, how it ended."""
    return progress.message if progress.stage == "Done" and progress.message else progress.stage


def words(progress: Progress) -> str:
    """The numbers of a progress in words."""
    parts = numbers(progress)
    if progress.eta_seconds is not None and progress.stage == "Training":
        parts.append(f"{duration(progress.eta_seconds)} left")
    if progress.message and progress.stage in ("Training", "Validating", "Testing"):
        parts.append(progress.message)
    return "  ".join(parts)


def numbers(progress: Progress | ProgressStatus) -> list[str]:
    """How far a training is and how well it does, each number in words."""
    parts = []
    if progress.epoch and progress.epochs:
        parts.append(f"epoch {progress.epoch}/{progress.epochs}")
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.3f}")
    if progress.top1 is not None:
        parts.append(f"top-1 {progress.top1:.3f}")
    if progress.best:
        parts.append(f"best {progress.best.top1:.3f} (epoch {progress.best.epoch})")
    return parts


def duration(seconds: float) -> str:
    """Seconds as people say them: 45s, 12m30s, 3h05m."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def print_failure(report: FailureReport) -> None:
    """Print a failure that another process reported, as one of this process is told."""
    errors.print(f"{report.failure}: {report.message}", style="red", markup=False, soft_wrap=True)
    if report.last_lines:
        whose = "a rank" if report.rank is None else f"rank {report.rank}"
        what = f"{whose} stood here, the innermost first" if report.hung else f"{whose} failed first; its last lines"
        lines = (f"  {line}" for line in report.last_lines)
        errors.print("\n".join((f"{what}:", *lines)), markup=False, soft_wrap=True)


def listed(title: str, rows: Sequence[tuple[str, str]]) -> Table:
    """What is told of a thing: its name, and below it a label and words a row."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in rows:
        grid.add_row(f"  {label}", Text(text))
    whole = Table.grid()
    whole.add_row(Text(title))
    whole.add_row(grid)
    return whole


def print_listed(title: str, rows: Sequence[tuple[str, str]]) -> None:
    """The same, printed; on a terminal long words are folded beside their labels."""
    if output.is_terminal:
        output.print(listed(title, rows))
        return
    _print(title)
    for label, text in rows:
        _print(f"  {label:<15} {text}")


class _Lines:
    """A line for each stage and each epoch, for output that is read later."""

    def __init__(self, title: str, console: Console) -> None:
        self.title, self.console = title, console
        self.seen: tuple[str, int | None, float | None] | None = None

    def show(self, progress: Progress) -> None:
        now = (progress.stage, progress.epoch, progress.top1)
        if now != self.seen:
            self.seen = now
            _print(f"{self.title}: {headline(progress)} {words(progress)}".rstrip(), self.console)


def _print(text: str, console: Console = output) -> None:
    console.print(text, markup=False, soft_wrap=True)
