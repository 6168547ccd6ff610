"""What MMAction2 publishes about a run's recipe: for orientation, as it was measured on other data than the run's."""

from __future__ import annotations

import posixpath

from mmaction_operator.zoo import UnknownConfig, ZooEntry, load
from mmaction_trainer.contract.result import ModelReport


def entry_of(model: ModelReport) -> ZooEntry | None:
    """The zoo's entry of a run's recipe; None where this version has none of that name."""
    try:
        return load(model.recipe)
    except UnknownConfig:
        return None


def reported(entry: ZooEntry) -> str | None:
    """Top-1 of the zoo's weights in percent, with the data set that it was measured on: ``75.55 (Kinetics-400)``."""
    found = [f"{line.value:.2f} ({line.dataset})" for line in entry.reported if line.metric == "top1"]
    return ", ".join(found) or None


def pretraining(model: ModelReport, entry: ZooEntry | None) -> str:
    """What the weights that a run began with had learned from.

    For the zoo's weights as published, such as ``ImageNet + Kinetics-400``: what their backbone began with, then what
    they were trained on. Where that is not published, and for other weights, the name of their file; ``none`` for
    random ones.
    """
    if model.pretrained is None:
        return "none"
    if not (entry and entry.reported and of_the_zoo(model.pretrained, entry)):
        return model.pretrained
    sources = (entry.pretrained_on, *(line.dataset for line in entry.reported))
    return " + ".join(dict.fromkeys(source for source in sources if source))


def of_the_zoo(file: str, entry: ZooEntry) -> bool:
    """Whether a file of weights has the name of the recipe's own, which has a date and a digest in it."""
    return entry.weights is not None and posixpath.basename(entry.weights.url) == file
