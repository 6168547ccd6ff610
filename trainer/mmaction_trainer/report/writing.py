"""The files of a report, all of the same facts."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.document import replace_file
from mmaction_trainer.contract.result import Result
from mmaction_trainer.contract.run import Run
from mmaction_trainer.evaluate import Measures

from . import charts
from .facts import Facts, gather
from .templates import rendered
from .thumbnails import thumbnail

PAGE, MARKDOWN, JSON = "index.html", "report.md", "report.json"


def write(folder: Path, run_dir: Path, run: Run, result: Result, found: Measures) -> None:
    """Write the report into a folder.

    Args:
        run_dir: has config, metrics and videos.
        found: what the test found.
    """
    facts = gather(run_dir, run, result, found)
    pictures = [thumbnail(run_dir / layout.VIDEOS / each.video) for each in found.mistakes]
    folder.mkdir(parents=True, exist_ok=True)
    facts.write(folder / JSON)
    replace_file(folder / MARKDOWN, rendered("report.md", facts).encode())
    replace_file(folder / PAGE, page(facts, pictures).encode())


def page(facts: Facts, thumbnails: list[str]) -> str:
    """The page, with a picture of each mistake."""
    return rendered(
        "page.html",
        facts,
        mistakes=list(zip(facts.mistakes, thumbnails, strict=True)),
        curves=Markup(charts.curves(facts.training, facts.validations)) if facts.training else "",
        classes=Markup(charts.classes(facts)),
        confusion=Markup(charts.confusion(facts)),
        calibration=Markup(charts.calibration(facts.calibration)),
    )
