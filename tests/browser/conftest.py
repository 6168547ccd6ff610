"""Our pages in a real browser: Debian's Chromium, driven by Playwright. The pages are those of a real run, and of a
leaderboard of it and of others that were published before."""

from __future__ import annotations

import posixpath
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from examples.demo import clips
from mmaction_operator.zoo import load
from mmaction_trainer.contract.result import Complexity, ModelReport, Score
from tests.cluster.machine import BROWSER_PACKAGES
from tests.local.conftest import CLIPS, Machine
from tests.published_runs import SLOWFAST, VAL, leave, views

I3D = "i3d_imagenet-pretrained-r50_8xb8-32x2x1-100e_kinetics400-rgb"
TIMESFORMER = "timesformer_divST_8xb8-8x32x1-15e_kinetics400-rgb"


@dataclass(frozen=True)
class Opened:
    """A page in a window, what it has asked for, and what it has complained of."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A browser without a window."""
    chromium = shutil.which("chromium")
    if not chromium:
        packages = " ".join(BROWSER_PACKAGES.values())
        pytest.fail(f"No chromium on the PATH: apt-get install --no-install-recommends {packages}", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Browser) -> Callable[..., Any]:
    """Open a file in a window of its own."""

    @contextmanager
    def open_page(file: Path, width: int = 1280, **settings: Any) -> Iterator[Opened]:
        context = browser.new_context(viewport={"width": width, "height": 900}, **settings)
        shown = Opened(context.new_page())
        shown.page.goto(file.as_uri())
        yield shown
        context.close()

    return open_page


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a training of two epochs on real clips left."""
    root = tmp_path_factory.mktemp("machine")
    clips.build(CLIPS, root / "six", train=2, test=2)
    places = {"TRAINJOB_LEASES": "leases", "TRAINJOB_STATE": "state", "TRAINJOB_CACHE": "cache"}
    machine = Machine(root, root / "six", {name: str(root / place) for name, place in places.items()})
    code, said = machine.run("run", machine.job(training={"epochs": 2}, evaluation={"clips": 2}))
    assert code == 0, said
    return machine.results


@pytest.fixture(scope="session")
def report(results: Path) -> Path:
    """The page that the run left."""
    (page,) = results.glob("*/*/*/report/index.html")
    return page


@pytest.fixture(scope="session")
def leaderboard(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page that the command writes over the run, and over others: three groups, and one run that is in none."""
    before = tmp_path_factory.mktemp("before")
    leave(before, "slowfast", 0.9609, views(10, 3), model=from_the_zoo(SLOWFAST, "32x2x1"), seconds=40_000.0)
    leave(before, "i3d", 0.9191, views(10, 3), model=from_the_zoo(I3D, "32x2x1"), complexity=size(27_431_000))
    leave(before, "from-scratch", 0.7313, views(10, 3), complexity=None, val=None, seconds=None)
    leave(before, "longer", 0.9576, views(10, 3), val=Score(protocol=VAL, top1=0.96, top5=0.99, epoch=8))
    leave(before, "timesformer", 0.9498, views(1, 3), model=from_the_zoo(TIMESFORMER, "8x32x1"))
    leave(before, "untested", 0.99, views(10, 3), test=None)
    command = [sys.executable, "-c", "from mmaction_operator.cli import main; main()"]
    words = ["leaderboard", str(results), str(before), "--output", "html"]
    page = before / "leaderboard.html"
    with page.open("wb") as file:
        subprocess.run([*command, *words], stdout=file, check=True)
    return page


def from_the_zoo(recipe: str, frames: str) -> ModelReport:
    """A model that began with the zoo's weights."""
    weights = load(recipe).weights
    assert weights
    name = posixpath.basename(weights.url)
    return ModelReport(recipe=recipe, frames=frames, pretrained=name, epochs=100, device="cuda")


def size(parameters: int) -> Complexity:
    """A model of so many parameters."""
    return Complexity(parameters=parameters, flops_per_view=33_271_000_000, views=30)
