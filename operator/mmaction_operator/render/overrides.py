"""``spec.overrides``: anything else of the config, as data, merged last and checked before and after."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mmaction_trainer.contract.errors import ConfigFailure

from . import merging, pretrained, reserved, tree, vocabulary
from .draft import STAGES, Draft
from .plain import field, plain
from .tree import Config

MAPPINGS = ("model", "model.backbone", "model.cls_head", "env_cfg.dist_cfg")
MAPPINGS_OF_TRAINING = ("train_cfg", "optim_wrapper.optimizer", "default_hooks.checkpoint")

UNUSED = {"vis_backends": "visualizer.vis_backends"}
"""Variables of MMAction2's own files that nothing reads, and what is read instead."""


def apply(draft: Draft, overrides: Config) -> Draft:
    """The draft with overrides merged in.

    Raises:
        ConfigFailure: names the override that is not plain data, is reserved, names a key or type that nobody knows,
            or leaves a config that the product cannot run.
    """
    if not overrides:
        return draft
    change = merging.expand(plain(overrides))
    reserved.check_stages(change, draft.stages)
    change = _where_it_counts(change)
    reserved.check_asked(change)
    merged = merging.with_tuples(merging.merge(draft.config, change))
    _check_shape(merged, draft.stages)
    vocabulary.check(change, draft.config, merged)
    reserved.check_kept(draft.config, merged)
    _check_scores(merged, draft.stages)
    _check_offline(merged)
    return replace(draft, config=merged)


def _check_shape(config: Config, stages: tuple[str, ...]) -> None:
    """See that what the renderer goes on to read is still there."""
    datasets = [f"{stage}_dataloader.dataset" for stage in stages]
    for path in (*MAPPINGS, *datasets, *(MAPPINGS_OF_TRAINING if "train" in stages else ())):
        value = tree.get(config, path)
        if not isinstance(value, dict):
            raise ConfigFailure(field(tree.parts(path)), f"found {value!r}", accepted="a mapping")
    for path in (*(f"{dataset}.pipeline" for dataset in datasets), "custom_hooks", "visualizer.vis_backends"):
        steps = tree.get(config, path)
        if not isinstance(steps, list) or not all(isinstance(tree.get(step, "type"), str) for step in steps):
            raise ConfigFailure(field(tree.parts(path)), f"found {steps!r}", accepted="a list of mappings with a type")


def _where_it_counts(change: Config) -> Config:
    """Pipelines where MMEngine reads them: in their data sets. The top-level ones are for tools, and follow."""
    for name, instead in UNUSED.items():
        if name in change:
            raise ConfigFailure(field((name,)), "is read by nobody", accepted=instead)
    for stage in STAGES:
        pipeline = change.pop(f"{stage}_pipeline", None)
        if pipeline is not None:
            loader = change.get(f"{stage}_dataloader", {})
            dataset = loader.get("dataset", {}) if isinstance(loader, dict) else None
            path = f"{stage}_dataloader.dataset.pipeline"
            if not isinstance(dataset, dict) or "pipeline" in dataset:
                raise ConfigFailure(field((f"{stage}_pipeline",)), f"stands beside {path}", do="Keep one of them.")
            change = tree.put(change, path, pipeline)
    return change


def _check_scores(config: Config, stages: tuple[str, ...]) -> None:
    for key in (f"{stage}_evaluator" for stage in stages if stage != "train"):
        evaluator = config.get(key)
        if not any(_scores_top1(metric) for metric in (evaluator if isinstance(evaluator, list) else [evaluator])):
            raise ConfigFailure(
                field((key,)),
                "no metric of it reports acc/top1, by which checkpoints are chosen and ranked",
                accepted="AccMetric with top_k_accuracy and a topk that holds 1, alone or in a list with others",
            )


def _scores_top1(metric: Any) -> bool:
    if not isinstance(metric, dict) or metric.get("type") != "AccMetric":
        return False
    kinds = metric.get("metric_list", ("top_k_accuracy",))
    largest = tree.get(metric, "metric_options.top_k_accuracy.topk", (1, 5))
    holds_1 = 1 in largest if isinstance(largest, tuple) else largest == 1
    return "top_k_accuracy" in kinds and holds_1 and metric.get("prefix", "acc") in ("acc", None)


def _check_offline(config: Config) -> None:
    for path in pretrained.downloads(config):
        raise ConfigFailure(
            field(tuple(path.split("."))),
            f"would load weights when the model is built: {tree.get(config, path)!r}",
            do="Use spec.model.pretrained.",
        )
