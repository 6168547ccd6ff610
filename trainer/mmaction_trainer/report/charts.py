"""Pictures of a training and of its test, as SVG text.

Lines and letters have the colour of the page's text, so that one picture reads on light and on dark; what is filled has
a colour that stands out on both.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from .facts import Calibration, Facts, TrainingPoint, Validation

INK = "#010203"
"""Stands for the colour of the page's text while a picture is drawn."""
FIRST, SECOND = "#2f7ed8", "#c8741a"
"""What is filled: each at least 3:1 against a light page and a dark one, as WCAG asks of graphics."""
FULL = 0.75
"""How opaque the fullest cell of a matrix is: the page's letters keep 4.5:1 on it, light and dark."""
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}
PIXELS = 96
"""Of an inch, as CSS has it."""
MOST_CLASSES = 40
"""Classes of which names still fit beside a picture."""


def curves(train: Sequence[TrainingPoint], val: Sequence[Validation]) -> str:
    """Loss, accuracies and learning rate over the epochs: three pictures, which a narrow page has below each other."""
    steps = max(point.step / point.epoch for point in train)
    epochs = [point.step / steps for point in train]

    def draw(axes: Axes, title: str, values: Iterable[float | None]) -> None:
        axes.plot(epochs, known(values), color=FIRST, label="train")
        axes.set_title(title, loc="left")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))

    def loss(axes: Axes) -> None:
        draw(axes, "loss", (point.loss for point in train))

    def accuracy(axes: Axes) -> None:
        draw(axes, "top-1", (point.top1 for point in train))
        axes.plot([each.epoch for each in val], [each.top1 for each in val], color=SECOND, marker="o", label="val")
        axes.set_ylim(0, 1)
        axes.legend()

    def rate(axes: Axes) -> None:
        draw(axes, "learning rate", (point.lr for point in train))

    return "".join(drawn(panel, (3.4, 2.8)) for panel in (loss, accuracy, rate))


def known(values: Iterable[float | None]) -> list[float]:
    """Values of a line, which has a gap where one is absent."""
    return [np.nan if value is None else value for value in values]


def classes(facts: Facts) -> str:
    """Accuracy of each class; of many the worst ones."""
    tested = facts.worst_classes
    shown = tested[:MOST_CLASSES]

    def draw(axes: Axes) -> None:
        names = [each.name for each in shown]
        axes.barh(names, [each.accuracy or 0 for each in shown], color=FIRST)
        axes.axvline(facts.test.mean_class or 0, color=INK, linewidth=1, linestyle="--")
        axes.set_xlim(0, 1)
        axes.margins(y=0.01)
        axes.invert_yaxis()
        which = f"the {len(shown)} worst of {len(tested)} classes" if len(shown) < len(tested) else "all classes"
        axes.set_xlabel(f"share of its videos that is found, {which}; dashed: the mean")

    return drawn(draw, (10, 0.9 + 0.24 * len(shown)))


def confusion(facts: Facts) -> str:
    """Shares of each class's videos (row) that are taken for each class (column)."""
    counts = matrix(facts)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [each.name for each in facts.classes]
    few = len(names) <= MOST_CLASSES

    def draw(axes: Axes) -> None:
        axes.imshow(tint(shares))
        axes.set_xlabel("taken for")
        axes.set_ylabel("true class")
        if few:
            axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
            axes.set_yticks(range(len(names)), names)
        if len(names) <= 12:
            for (row, column), count in np.ndenumerate(counts):
                axes.text(column, row, str(count), ha="center", va="center")

    side = 2.5 + (0.28 * len(names) if few else 6)
    return drawn(draw, (min(10, side + 1.5), min(9, side)))


def tint(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """RGBA of a matrix of shares: the page shows through where they are small."""
    picture = np.empty((*shares.shape, 4))
    picture[..., :3] = to_rgb(FIRST)
    picture[..., 3] = FULL * shares
    return picture


def matrix(facts: Facts) -> NDArray[np.int64]:
    """(classes, classes): videos of a class (row) taken for a class (column)."""
    counts = np.diag(np.array([each.found for each in facts.classes], np.int64))
    place = {each.name: number for number, each in enumerate(facts.classes)}
    for each in facts.confusions:
        counts[place[each.label], place[each.taken_for]] = each.videos
    return counts


def calibration(found: Calibration) -> str:
    """How often videos are right (up) that are scored so high (right); scores that say what they do lie on the line."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle="--")
        total = sum(each.videos for each in found.bins)
        sizes = [30 + 300 * each.videos / total for each in found.bins]
        confidence = [each.confidence for each in found.bins]
        accuracy = [each.accuracy for each in found.bins]
        axes.scatter(confidence, accuracy, s=sizes, color=FIRST, alpha=0.8, clip_on=False)
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="mean score", ylabel="share that is right", aspect="equal")

    return drawn(draw, (4, 4))


def drawn(draw: Callable[[Axes], None], size: tuple[float, float]) -> str:
    """A picture as SVG that can stand in HTML, beside others: none of its groups has an id."""
    with rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.subplots())
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    svg = re.sub(r'<g id="[^"]*"', "<g", text.getvalue())
    width = f' style="width: {round(PIXELS * size[0])}px"'
    return re.sub(r' width="[^"]*pt" height="[^"]*pt"', width, svg[svg.index("<svg") :], count=1).replace(
        INK, "currentColor"
    )
