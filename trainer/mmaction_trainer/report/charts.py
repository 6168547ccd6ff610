"""Pictures of a training and of its test, as SVG text.

Lines and letters have the colour of the page's text, so that one picture reads on light and on dark; what is filled has
a colour that stands out on both.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmaction_trainer.evaluate import Measures

INK = "#010203"
"""Stands for the colour of the page's text while a picture is drawn."""
FIRST, SECOND = "#2f7ed8", "#d9822b"
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

Lines = Sequence[Mapping[str, Any]]


def curves(lines: Lines) -> str:
    """Loss, accuracies and learning rate over the epochs."""
    train = [line for line in lines if line["stage"] == "train"]
    val = [line for line in lines if line["stage"] == "val"]
    steps = max((line["step"] / line["epoch"] for line in train), default=1.0)
    epochs = [line["step"] / steps for line in train]

    def draw(loss: Axes, accuracy: Axes, rate: Axes) -> None:
        loss.plot(epochs, [line.get("loss", np.nan) for line in train], color=FIRST)
        accuracy.plot(epochs, [line.get("top1", np.nan) for line in train], color=FIRST, label="train")
        accuracy.plot(
            [line["epoch"] for line in val], [line["top1"] for line in val], color=SECOND, marker="o", label="val"
        )
        accuracy.set_ylim(0, 1)
        accuracy.legend()
        rate.plot(epochs, [line.get("lr", np.nan) for line in train], color=FIRST)
        for axes, title in ((loss, "loss"), (accuracy, "top-1"), (rate, "learning rate")):
            axes.set_title(title, loc="left")
            axes.set_xlabel("epoch")

    return drawn(draw, (10, 2.8), 3)


def classes(found: Measures) -> str:
    """Accuracy of each class; of many the worst ones."""
    known = sorted((each for each in found.classes if each.accuracy is not None), key=lambda each: each.accuracy or 0)
    shown = known[:MOST_CLASSES]

    def draw(axes: Axes) -> None:
        names = [each.name for each in shown]
        axes.barh(names, [each.accuracy or 0 for each in shown], color=FIRST)
        axes.axvline(found.mean_class, color=INK, linewidth=1, linestyle="--")
        axes.set_xlim(0, 1)
        axes.margins(y=0.01)
        axes.invert_yaxis()
        which = f"the {len(shown)} worst of {len(known)} classes" if len(shown) < len(known) else "all classes"
        axes.set_xlabel(f"share of its videos that is found, {which}; dashed: the mean")

    return drawn(draw, (10, 0.9 + 0.24 * len(shown)), 1)


def confusion(found: Measures) -> str:
    """Shares of each class's videos (row) that are taken for each class (column)."""
    videos = found.confusion.sum(axis=1, keepdims=True)
    shares = found.confusion / np.maximum(videos, 1)
    names = [each.name for each in found.classes]
    few = len(names) <= MOST_CLASSES

    def draw(axes: Axes) -> None:
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set_xlabel("taken for")
        axes.set_ylabel("true class")
        if few:
            axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
            axes.set_yticks(range(len(names)), names)
        if len(names) <= 12:
            for (row, column), count in np.ndenumerate(found.confusion):
                dark = shares[row, column] > 0.5
                axes.text(column, row, str(count), ha="center", va="center", color="white" if dark else "black")

    side = 2.5 + (0.28 * len(names) if few else 6)
    return drawn(draw, (min(10, side + 1.5), min(9, side)), 1)


def calibration(found: Measures) -> str:
    """How often videos are right (up) that are scored so high (right); scores that say what they do lie on the line."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle="--")
        sizes = [30 + 300 * each.videos / found.confusion.sum() for each in found.calibration]
        confidence = [each.confidence for each in found.calibration]
        axes.scatter(
            confidence, [each.accuracy for each in found.calibration], s=sizes, color=FIRST, alpha=0.8, clip_on=False
        )
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="mean score", ylabel="share that is right", aspect="equal")

    return drawn(draw, (4, 4), 1)


def drawn(draw: Callable[..., None], size: tuple[float, float], panels: int) -> str:
    """A figure of so many panels side by side, as SVG that can stand in HTML."""
    with rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        axes: Iterable[Axes] = np.atleast_1d(figure.subplots(1, panels))
        draw(*axes)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    svg = text.getvalue()
    width = f' style="width: min(100%, {round(PIXELS * size[0])}px)"'
    return re.sub(r' width="[^"]*pt" height="[^"]*pt"', width, svg[svg.index("<svg") :], count=1).replace(
        INK, "currentColor"
    )
