"""What of a zoo config is a recipe: its model, pipelines, optimiser and schedule, without the places of its data.

MMAction2's configs carry their own variables (``data_root``, ``base_lr``), lists of Kinetics files, and a few defects
that stop them as they are. What a step after this one sees is a config that works, with each pipeline in one place:
``<stage>_pipeline``.
"""

from __future__ import annotations

from collections.abc import Sequence

from mmaction_trainer.contract.errors import ConfigFailure

from ..zoo import ZooEntry, signature
from .draft import STAGES, Draft
from .tree import Config, drop, rewrite

KEPT = (
    "model",
    *(f"{stage}_pipeline" for stage in STAGES),
    *(f"{stage}_dataloader" for stage in STAGES),
    *(f"{stage}_cfg" for stage in STAGES),
    "val_evaluator",
    "test_evaluator",
    "optim_wrapper",
    "param_scheduler",
    "default_hooks",
    "custom_hooks",
    "find_unused_parameters",
    "env_cfg",
    "log_processor",
    "log_level",
    "visualizer",
)

FIELD = "spec.model.config"


def begin(entry: ZooEntry) -> Draft:
    """The recipe of an entry.

    Raises:
        ConfigFailure: the entry has no training recipe, or one that a TrainJob cannot describe.
    """
    if not entry.trainable:
        raise untrainable(entry)
    if entry.modality == "omni":
        raise ConfigFailure(
            FIELD,
            f"{entry.name} trains on videos and on ImageNet's images together",
            accepted="configs that train on videos alone",
            do="The same network without the images: slowonly_r50_8xb16-4x16x1-256e_kinetics400-rgb.",
        )
    draft = Draft({key: entry.config[key] for key in KEPT if key in entry.config})
    for stage in STAGES:
        draft = _one_dataset(draft, stage).pipeline(stage, _accepted_arguments)
    return _as_installed(draft)


def untrainable(entry: ZooEntry, relatives: Sequence[str] = ()) -> ConfigFailure:
    """The refusal of a config that MMAction2 only tests; ``relatives`` are configs of its family that train."""
    return ConfigFailure(
        FIELD,
        f"{entry.name} has no training recipe in MMAction2: its config is for testing alone",
        accepted=", ".join(relatives) if relatives else "a config that trains; `trainjob zoo` lists them",
    )


def _one_dataset(draft: Draft, stage: str) -> Draft:
    """One data set a stage, and nothing in the loader that is not the loader's.

    Kinetics-710 is three data sets joined, all with one pipeline. One TSM config names its test pipeline beside the
    data set instead of in it, where DataLoader refuses it; the top-level pipeline is right in every config.
    """
    loader = draft.get(f"{stage}_dataloader")
    dataset = loader["dataset"]
    if dataset["type"] == "ConcatDataset":
        dataset = dataset["datasets"][0]
    accepted = ("batch_size", "num_workers", "persistent_workers", "sampler", "collate_fn")
    kept = {key: loader[key] for key in accepted if key in loader}
    return draft.put(f"{stage}_dataloader", {**kept, "dataset": drop(dataset, "pipeline")})


def _accepted_arguments(pipeline: list[Config]) -> list[Config]:
    """Transforms without arguments that they do not take: one TSM config gives DecordDecode an io_backend."""

    def clean(transform: Config) -> Config:
        known = signature(transform["type"])
        assert known is not None, transform["type"]
        return {key: value for key, value in transform.items() if key == "type" or known.accepts(key)}

    return [clean(transform) for transform in pipeline]


def _as_installed(draft: Draft) -> Draft:
    """Backbones of other packages as those are today.

    mmcls became mmpretrain, and the old package does not install any more. timm's Swin puts channels last since 0.9,
    which one of the two TSN configs that use it says and the other does not.
    """

    def rename(node: Config) -> Config:
        name = node.get("type")
        if isinstance(name, str) and name.startswith("mmcls."):
            return {**node, "type": "mmpretrain." + name.removeprefix("mmcls.")}
        if isinstance(name, str) and name.startswith("timm.swin"):
            return {**node, "feature_shape": "NHWC"}
        return node

    return draft.put("model", rewrite(draft.get("model"), rename))
