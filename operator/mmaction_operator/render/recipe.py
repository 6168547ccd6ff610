"""What of a zoo config is a recipe: its model, pipelines, optimiser and schedule, without the places of its data.

MMAction2's configs carry their own variables (``data_root``, ``base_lr``), lists of Kinetics files, and a few defects
that stop them as they are. What a step after this one sees is a config that works, with each pipeline in one place:
``<stage>_pipeline``. A job that only tests takes the test of a recipe; some configs have nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

from mmaction_trainer.contract.errors import ConfigFailure

from ..zoo import ZooEntry, signature
from . import sampling
from .draft import STAGES, Draft
from .tree import Config, drop, rewrite

OF_STAGE = {
    "train": ("train_pipeline", "train_dataloader", "train_cfg", "optim_wrapper", "param_scheduler"),
    "val": ("val_pipeline", "val_dataloader", "val_cfg", "val_evaluator"),
    "test": ("test_pipeline", "test_dataloader", "test_cfg", "test_evaluator"),
}
"""Keys that a stage needs. MMEngine wants all of a stage's loader, loop and what they work with, or none of them."""
KEPT = (
    "model",
    *(key for stage in STAGES for key in OF_STAGE[stage]),
    "default_hooks",
    "custom_hooks",
    "find_unused_parameters",
    "env_cfg",
    "log_processor",
    "log_level",
    "visualizer",
)

FIELD = "spec.model.config"


def begin(entry: ZooEntry, stages: tuple[str, ...] = STAGES) -> Draft:
    """The recipe of an entry, as far as the stages of a job go.

    Raises:
        ConfigFailure: the entry has no recipe for one of them, or one that a TrainJob cannot describe.
    """
    if any(f"{stage}_dataloader" not in entry.config for stage in stages):
        raise without_recipe(entry)
    if entry.modality == "omni":
        raise ConfigFailure(
            FIELD,
            f"{entry.name} trains on videos and on ImageNet's images together",
            accepted="configs that train on videos alone",
            do="The same network without the images: slowonly_r50_8xb16-4x16x1-256e_kinetics400-rgb.",
        )
    idle = {key for stage in STAGES if stage not in stages for key in OF_STAGE[stage]}
    config = {key: entry.config[key] for key in KEPT if key in entry.config and key not in idle}
    draft = Draft(config | _pipelines(entry), stages=stages)
    for stage in stages:
        draft = _one_dataset(draft, stage)
    return _as_installed(draft.pipelines(_accepted_arguments))


def without_recipe(entry: ZooEntry, relatives: Sequence[str] = ()) -> ConfigFailure:
    """The refusal of a config that lacks a recipe for what is asked of it.

    Args:
        entry: it.
        relatives: configs of its family that train.
    """
    if not tested(entry):
        return ConfigFailure(
            FIELD,
            f"{entry.name} has neither data nor pipelines in MMAction2: other configs start from its weights",
            accepted=", ".join(relatives) if relatives else "a config that `trainjob zoo` lists with more than weights",
        )
    return ConfigFailure(
        FIELD,
        f"{entry.name} has no training recipe in MMAction2: its config is for testing alone",
        accepted=", ".join(relatives) if relatives else "a config that trains; `trainjob zoo` lists them",
        do="`evaluation: {only: true}` tests its weights.",
    )


def tested(entry: ZooEntry) -> bool:
    """Whether a config says how its model is tested."""
    return "test_dataloader" in entry.config


def _pipelines(entry: ZooEntry) -> dict[str, list[Config]]:
    """The pipeline of every stage. Where a config only tests, one clip of its test is what its model was made for."""
    one_clip = sampling.with_sampler(entry.config["test_pipeline"], num_clips=1)
    return {f"{stage}_pipeline": entry.config.get(f"{stage}_pipeline", one_clip) for stage in STAGES}


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
