"""The number of classes, in every place where a model keeps it."""

from __future__ import annotations

from ..zoo import signature
from . import tree
from .draft import Draft
from .tree import Config, Path

COUNT = "num_classes"
AUXILIARY = ("aux_head_cfg", "out_channels")
"""TPN's second head, which calls it by another name."""


def is_count(path: Path) -> bool:
    """Whether a path in a config ends where the number of classes is kept."""
    return path[:1] == ("model",) and (path[-1] == COUNT or path[-2:] == AUXILIARY)


def apply(draft: Draft, classes: int) -> Draft:
    """A model for ``classes`` classes.

    With another number of classes than the recipe's, the data is another data set, whose classes have nothing to do
    with the recipe's ``flip_label_map`` (``left to right`` becomes ``right to left``): that goes.
    """
    recipe = draft.get("model.cls_head.num_classes")
    draft = settle(draft, classes)
    if classes == recipe or not any("flip_label_map" in transform for transform in draft.transforms()):
        return draft
    return draft.pipelines(_no_flip_map).warn(
        f"flip_label_map was taken out: it names classes of the recipe's own {recipe}. Flipped videos keep their label."
    )


def settle(draft: Draft, classes: int) -> Draft:
    """The number of classes in every part of the model that takes one: heads, and what mixes labels."""
    for path, node in tree.nodes(draft.get("model"), ("model",)):
        if isinstance(node, dict) and _takes_count(node):
            draft = draft.put((*path, COUNT), classes)
        if path[-1] == AUXILIARY[0] and node:
            draft = draft.put((*path, AUXILIARY[1]), classes)
    return draft


def _takes_count(node: Config) -> bool:
    known = signature(node["type"]) if isinstance(node.get("type"), str) else None
    return known is not None and COUNT in known.params


def _no_flip_map(pipeline: list[Config]) -> list[Config]:
    return [tree.drop(transform, "flip_label_map") for transform in pipeline]
