"""What a checkpoint would give a model, before it is loaded.

MMEngine loads what fits and logs the rest: a checkpoint of another network leaves most of a model at random values,
and the run goes on. Here the two are compared by names and shapes of their weights; a caller decides what to accept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
"""Of each weight by its name, such as ``{"cls_head.fc_cls.weight": (400, 2048)}``."""

WRAPPED = re.compile(r"^module\.")
"""What DDP puts before every name; MMEngine takes it off again."""
UNCOUNTED = "num_batches_tracked"
"""A counter of batch norm that only training reads. Checkpoints of older torch lack it, which MMEngine passes over."""
DERIVED = re.compile(r"^cls_head\.new_cls\.")
"""A copy of TPN's classifier that is made anew for each test; see ``compat``."""


@dataclass(frozen=True)
class Comparison:
    """A model and a checkpoint, weight by weight; names in the order of the model, then of the checkpoint.

    Attributes:
        matched: names that both have, in one shape.
        missing: names that the model alone has.
        unexpected: names that the checkpoint alone has.
        reshaped: names that both have, each with the model's shape and the checkpoint's.
    """

    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    reshaped: Mapping[str, tuple[Shape, Shape]]

    @property
    def whole(self) -> bool:
        """Whether loading gives the model every weight, and leaves none of the checkpoint's over."""
        return not (self.missing or self.unexpected or self.reshaped)


def compare(model: Shapes, checkpoint: Shapes) -> Comparison:
    """Compare a model's weights with those of a checkpoint, as ``stored`` finds them."""
    both = [name for name in model if name in checkpoint]
    return Comparison(
        matched=tuple(name for name in both if model[name] == checkpoint[name]),
        missing=tuple(name for name in model if name not in checkpoint and UNCOUNTED not in name),
        unexpected=tuple(name for name in checkpoint if name not in model and not DERIVED.match(name)),
        reshaped={name: (model[name], checkpoint[name]) for name in both if model[name] != checkpoint[name]},
    )


def stored(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    """The weights in what a checkpoint file holds, by the names that MMEngine loads them by.

    They lie in ``state_dict`` beside an optimizer and what else a training keeps, or are all that there is.
    """
    weights = checkpoint.get("state_dict", checkpoint)
    return {WRAPPED.sub("", name): weight for name, weight in weights.items()}


def shapes(weights: Mapping[str, Any]) -> Shapes:
    """The shapes of tensors by name; what is no tensor is left out."""
    return {name: tuple(weight.shape) for name, weight in weights.items() if hasattr(weight, "shape")}
