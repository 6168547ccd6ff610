"""The number of classes, in every place where a model keeps it."""

from __future__ import annotations

from . import tree
from .draft import Draft
from .tree import Config, Path

COUNTS = (
    "model.cls_head.num_classes",
    "model.neck.aux_head_cfg.out_channels",
    "model.data_preprocessor.blending.num_classes",
    "model.data_preprocessor.blending.augments.*.num_classes",
)


def places(config: Config) -> tuple[Path, ...]:
    """Where this config keeps the number of classes."""
    return tuple(path for pattern in COUNTS for path in tree.matching(config, pattern))


def apply(draft: Draft, classes: int) -> Draft:
    """A model for ``classes`` classes.

    With another number of classes than the recipe's, the data is another data set, whose classes have nothing to do
    with the recipe's ``flip_label_map`` (``left to right`` becomes ``right to left``): that goes.
    """
    recipe = draft.get("model.cls_head.num_classes")
    for path in places(draft.config):
        draft = draft.put(path, classes)
    if classes == recipe or not any("flip_label_map" in transform for transform in draft.get("train_pipeline")):
        return draft
    return draft.pipelines(_no_flip_map).warn(
        f"flip_label_map was taken out: it names classes of the recipe's own {recipe}. Flipped videos keep their label."
    )


def _no_flip_map(pipeline: list[Config]) -> list[Config]:
    return [tree.drop(transform, "flip_label_map") for transform in pipeline]
