"""What a checkpoint would give a model, before it is loaded.

MMEngine loads what fits and logs the rest: a checkpoint of another network leaves most of a model at random values,
and the run goes on. Here the two are compared by names and shapes of their weights; a caller decides what to accept.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mmaction_trainer.contract.errors import ConfigFailure

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
"""Of each weight by its name, such as ``{"cls_head.fc_cls.weight": (400, 2048)}``."""

FIELD = "spec.model.pretrained"
SHOWN = 3
"""Names that a message has of each kind."""

WRAPPED = re.compile(r"^module\.")
"""What DDP puts before every name; MMEngine takes it off again."""
UNCOUNTED = "num_batches_tracked"
"""A counter of batch norm that only training reads. Checkpoints of older torch lack it, which MMEngine passes over."""
LEARNED = ("running_mean", "running_var")
"""What batch norm learns and keeps in buffers."""
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
    def fills(self) -> bool:
        """Whether loading gives the model every weight."""
        return not (self.missing or self.reshaped)

    @property
    def whole(self) -> bool:
        """Whether loading gives the model every weight, and leaves none of the checkpoint's over."""
        return self.fills and not self.unexpected


def compare(model: Shapes, checkpoint: Shapes, computed: Collection[str] = ()) -> Comparison:
    """Compare a model's weights with those of a checkpoint, as ``stored`` finds them.

    Args:
        model, checkpoint: shapes by name.
        computed: names of what the model works out by itself when it is built; a checkpoint may lack them.
    """
    both = [name for name in model if name in checkpoint]
    return Comparison(
        matched=tuple(name for name in both if model[name] == checkpoint[name]),
        missing=tuple(
            name for name in model if name not in checkpoint and name not in computed and UNCOUNTED not in name
        ),
        unexpected=tuple(name for name in checkpoint if name not in model and not DERIVED.match(name)),
        reshaped={name: (model[name], checkpoint[name]) for name in both if model[name] != checkpoint[name]},
    )


def stored(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    """The weights in what a checkpoint file holds, by the names that MMEngine loads them by.

    They lie in ``state_dict`` beside an optimizer and what else a training keeps, or are all that there is.
    """
    weights = checkpoint.get("state_dict", checkpoint)
    return {WRAPPED.sub("", name): weight for name, weight in weights.items()}


def read(path: Path) -> Mapping[str, Any]:
    """The weights in a checkpoint file.

    Raises:
        ConfigFailure: it is no checkpoint of torch.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu")
    except (pickle.UnpicklingError, EOFError, KeyError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ConfigFailure(FIELD, f"{path.name} is no checkpoint that torch reads: {reason[0][:200]}") from None
    if not isinstance(checkpoint, Mapping):
        raise ConfigFailure(
            FIELD,
            f"{path.name} holds a {type(checkpoint).__name__}",
            accepted="weights by name, as MMEngine saves them",
        )
    return stored(checkpoint)


def check_whole(model: nn.Module, path: Path, *, published: bool) -> None:
    """See that a checkpoint holds every weight of a model: a test of half of them says nothing.

    Args:
        published: whether it is the zoo's own for this model, known by its digest; it may hold more than the model
            takes. Of any other, weights left over tell of a larger network.

    Raises:
        ConfigFailure: it is of another model; says which weights differ.
    """
    found = compare(shapes(model.state_dict()), shapes(read(path)), computed_by(model))
    if not (found.fills if published else found.whole):
        raise refusal(found, path.name)


def refusal(found: Comparison, name: str, *, whole: bool = True) -> ConfigFailure:
    """The refusal of a checkpoint of another model.

    Args:
        found: how it differs from the model.
        name: of its file.
        whole: whether all of the model is wanted of it, as for a test.
    """
    reshaped = [f"{weight} {theirs} where the model has {own}" for weight, (own, theirs) in found.reshaped.items()]
    differing = (("missing", found.missing), ("unexpected", found.unexpected), ("of another shape", reshaped))
    lists = [f"{len(names):,} {how} ({first_of(names)})" for how, names in differing if names]
    wanted = "every weight" if whole else "its backbone"
    return ConfigFailure(
        FIELD,
        f"{name} is of another model: {len(found.matched):,} of its weights fit; {', '.join(lists)}",
        accepted=f"a checkpoint that gives the model of spec.model.config {wanted}",
        do="Compare spec.model.config, spec.dataset.numClasses, spec.input and spec.overrides with those that it was "
        "trained by.",
    )


def first_of(names: Sequence[str]) -> str:
    """The first few of many names."""
    return ", ".join([*names[:SHOWN], *(["..."] if len(names) > SHOWN else [])])


def computed_by(model: nn.Module) -> frozenset[str]:
    """Names of what a model works out by itself, such as sinusoid position embeddings: buffers, but for the statistics
    that batch norm learns."""
    return frozenset(name for name, _ in model.named_buffers() if not name.endswith(LEARNED))


def shapes(weights: Mapping[str, Any]) -> Shapes:
    """The shapes of tensors by name; what is no tensor is left out."""
    return {name: tuple(weight.shape) for name, weight in weights.items() if hasattr(weight, "shape")}
