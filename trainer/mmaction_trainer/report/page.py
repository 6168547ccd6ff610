"""What stands in a report, from what a run directory has."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.document import replace_file
from mmaction_trainer.contract.result import Result
from mmaction_trainer.contract.run import Run
from mmaction_trainer.evaluate import Measures

from . import charts
from .thumbnails import thumbnail

PAGE = "index.html"
PACKAGES = ("mmaction-operator", "mmaction2", "mmcv-lite", "mmengine", "torch", "torchvision", "decord", "numpy")


def write(folder: Path, run_dir: Path, run: Run, result: Result, found: Measures) -> None:
    """Write the page into a folder.

    Args:
        run_dir: has config, metrics and videos.
        found: what the test found.
    """
    lines = [json.loads(line) for line in (run_dir / layout.METRICS).read_text(encoding="utf-8").splitlines()]
    mistakes = [(each, thumbnail(run_dir / layout.VIDEOS / each.video)) for each in found.mistakes]
    environment = Environment(
        loader=PackageLoader(__package__, "."),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("page.html").render(
        run=run,
        result=result,
        found=found,
        mistakes=mistakes,
        confidence=sum(each.videos * each.confidence for each in found.calibration) / found.confusion.sum(),
        curves=Markup(charts.curves(lines)),
        classes=Markup(charts.classes(found)),
        confusion=Markup(charts.confusion(found)),
        calibration=Markup(charts.calibration(found)),
        config=(run_dir / layout.CONFIG).read_text(encoding="utf-8"),
        versions=dict(versions()),
    )
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / PAGE, text.encode())


def versions() -> Iterator[tuple[str, str]]:
    """What trained and tested."""
    yield "Python", platform.python_version()
    for name in PACKAGES:
        yield name, importlib.metadata.version(name)
