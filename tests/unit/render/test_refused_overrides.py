"""Overrides are data: whatever they hold, they render to a config that the product can run, or are refused."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmaction_operator import zoo
from mmaction_operator.render import Rendered, render, tree
from mmaction_operator.render.reserved import KEYS
from mmaction_trainer.contract.errors import ConfigFailure

from .jobs import MVIT, SLOWFAST, TSM, a_job, rendered
from .test_source import evaluated

TPN = "tpn-slowonly_r50_8xb8-8x8x1-150e_kinetics400-rgb"
BASE = rendered(SLOWFAST).config
PATHS = [path for path, _ in tree.nodes(BASE) if path]


def refusal(config: str = SLOWFAST, **overrides: Any) -> ConfigFailure:
    with pytest.raises(ConfigFailure) as raised:
        rendered(config, overrides=overrides)
    return raised.value


@pytest.mark.parametrize("key", KEYS)
def test_a_reserved_key_is_refused_with_what_to_do_instead(key: str) -> None:
    failure = refusal(**{key: "anything"})
    assert failure.where == f"spec.overrides.{key}"
    assert failure.do.startswith(("Use spec.", "Leave it out."))


@pytest.mark.parametrize("key", [key for key in KEYS if tree.has(BASE, key) and "." in key])
def test_a_reserved_key_is_not_lost_with_what_holds_it(key: str) -> None:
    holder = tree.parts(key)[:-1]
    kind = {name: value for name, value in tree.get(BASE, holder).items() if name == "type"}
    overrides: dict[str, Any] = {tree.dotted(holder): {"_delete_": True, **kind}}
    assert refusal(**overrides).where.startswith("spec.overrides.")


@pytest.mark.parametrize(
    ("config", "overrides"),
    [
        (SLOWFAST, {"model.cls_head.num_classes": 3}),
        (TPN, {"model.neck.aux_head_cfg.out_channels": 3}),
        (MVIT, {"model.data_preprocessor": {"blending": {"type": "MixupBlending", "num_classes": 3}}}),
    ],
)
def test_the_number_of_classes_is_the_data_sets(config: str, overrides: dict[str, Any]) -> None:
    assert refusal(config, **overrides).do == "Use spec.dataset.numClasses."


@pytest.mark.parametrize(
    ("config", "overrides", "path"),
    [
        (
            SLOWFAST,
            {"model.cls_head": {"_delete_": True, "type": "I3DHead", "in_channels": 2304}},
            "model.cls_head.num_classes",
        ),
        (
            SLOWFAST,
            {"model.data_preprocessor.blending": {"type": "CutmixBlending"}},
            "model.data_preprocessor.blending.num_classes",
        ),
        (TPN, {"model.neck.aux_head_cfg": {"_delete_": True}}, "model.neck.aux_head_cfg.out_channels"),
    ],
)
def test_a_part_that_overrides_bring_in_gets_the_number_of_classes(
    config: str, overrides: dict[str, Any], path: str
) -> None:
    if path.startswith("model.neck"):
        overrides["model.neck.aux_head_cfg"]["loss_weight"] = 0.1
    assert tree.get(rendered(config, overrides=overrides).config, path) == 7


@pytest.mark.parametrize(
    "overrides",
    [
        {"model.backbone.pretrained": "https://example.com/x.pth"},
        {"model.backbone.slow_pathway.pretrained": "torchvision://resnet50"},
        {"model.backbone.init_cfg": {"type": "Pretrained", "checkpoint": "x.pth"}},
        {"model.cls_head.init_cfg": [{"type": "Pretrained", "checkpoint": "/x.pth"}]},
        {"model.backbone": {"_delete_": True, "type": "ResNet", "depth": 50, "pretrained": "x.pth"}},
    ],
)
def test_weights_come_from_one_place(overrides: dict[str, Any]) -> None:
    assert refusal(**overrides).do == "Use spec.model.pretrained."


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("optim_wrapper.constructor", "os.system"),
        ("optim_wrapper.optimizer.type", "os.system"),
        ("custom_hooks", [{"type": "mmaction_trainer.runtime.worker.main"}]),
        ("train_dataloader.collate_fn", {"type": "shutil.rmtree"}),
        ("train_dataloader.worker_init_fn", {"type": "os.system", "command": "x"}),
        ("model.data_preprocessor.blending", {"type": "RandomBatchAugment", "augments": [{"type": "os.system"}]}),
        ("train_pipeline", [{"type": "builtins.eval"}]),
        ("visualizer.vis_backends", [{"type": "subprocess.Popen"}]),
        ("model.backbone.slow_pathway", {"norm_cfg": {"type": "os.system"}}),
        ("log_processor.type", ["LogProcessor"]),
        ("model.type", None),
    ],
)
def test_a_name_that_mmengine_would_import_never_reaches_it(key: str, value: Any) -> None:
    failure = refusal(**{key: value})
    assert failure.where.startswith(f"spec.overrides.{key}") or "type" in str(failure)


@pytest.mark.parametrize(
    ("overrides", "where", "found"),
    [
        ({"_base_": "x.py"}, "_base_", "is not a key of a config"),
        ({"model": {"_scope_": "os"}}, "model._scope_", "is not a key of a config"),
        ({"a..b": 1}, "a..b", "is not a path"),
        ({"log_level": "{{$HOME:}}"}, "log_level", "holds {{"),
        ({"model": {"{{ fileDirname }}": 1}}, "model.{{ fileDirname }}", "holds {{"),
        ({"optim_wrapper.optimizer.lr": float("nan")}, "optim_wrapper.optimizer.lr", "found nan"),
        ({"optim_wrapper.optimizer.lr": float("inf")}, "optim_wrapper.optimizer.lr", "found inf"),
        ({"log_processor.window_size": 10**30}, "log_processor.window_size", "more than 64 bits"),
        ({"log_level": "x" * 10_001}, "log_level", "10001 characters"),
        ({"log_level": {1, 2}}, "log_level", "found a set"),
        ({"model": {None: 1}}, "model", "found the key None"),
        ({"model": {"_delete_": "yes"}}, "model._delete_", "found 'yes'"),
        ({"param_scheduler.0.start_factor": "1e-5"}, "param_scheduler.0.start_factor", "found the text '1e-5'"),
        ({"optim_wrapper.optimizer.lr.x": 1}, "optim_wrapper.optimizer.lr", "found a mapping"),
        ({"param_scheduler.x.end": 1}, "param_scheduler.x", "is not an element of a list"),
        ({"vis_backends": []}, "vis_backends", "is read by nobody"),
        ({"train_pipeline": [], "train_dataloader.dataset.pipeline": []}, "train_pipeline", "stands beside"),
        ({"val_evaluator.metric_list": ["mean_class_accuracy"]}, "val_evaluator", "no metric of it reports acc/top1"),
        ({"test_evaluator": {"prefix": "mine"}}, "test_evaluator", "no metric of it reports acc/top1"),
        ({"default_hooks.checkpoint": None}, "default_hooks.checkpoint", "found None"),
        ({"train_pipeline": ["Resize"]}, "train_dataloader.dataset.pipeline", "found ['Resize']"),
    ],
)
def test_what_is_no_plain_config_data_is_refused(overrides: dict[Any, Any], where: str, found: str) -> None:
    failure = refusal(**overrides)
    assert failure.where == f"spec.overrides.{where}"
    assert found in failure.found


def test_depth_and_number_of_values_are_bounded() -> None:
    deep: Any = 1
    for _ in range(40):
        deep = {"x": deep}
    assert "deep" in refusal(model=deep).found
    laughs: Any = ["ha"] * 10
    for _ in range(9):
        laughs = [laughs] * 10
    assert "more than 10000 values" in refusal(model={"train_cfg": laughs}).found


def test_an_index_may_be_a_number_as_yaml_reads_it() -> None:
    config = rendered(SLOWFAST, overrides={"param_scheduler": {0: {"start_factor": 0.5}}}).config
    assert config["param_scheduler"][0]["start_factor"] == 0.5


def test_the_products_hooks_stay_and_stay_alone() -> None:
    for hooks in ([{"type": "EMAHook"}], [{"type": "ProgressHook"}, {"type": "EMAHook"}, {"type": "ResumeHook"}], []):
        config = rendered(SLOWFAST, overrides={"custom_hooks": hooks}).config
        types = [hook["type"] for hook in config["custom_hooks"]]
        assert (types.count("ProgressHook"), types.count("ResumeHook")) == (1, 1)


def test_metrics_may_be_added_beside_the_one_that_chooses() -> None:
    metrics = [
        {"type": "AccMetric", "metric_options": {"top_k_accuracy": {"topk": [1, 3]}}},
        {"type": "ConfusionMatrix"},
    ]
    (accuracy, _) = rendered(SLOWFAST, overrides={"val_evaluator": metrics}).config["val_evaluator"]
    assert accuracy["metric_options"]["top_k_accuracy"]["topk"] == (1, 3)


words = st.sampled_from(
    [
        "type",
        "model",
        "lr",
        "_delete_",
        "0",
        "1",
        "SGD",
        "I3DHead",
        "Resize",
        "pipeline",
        "data/train.txt",
        "",
        "{{",
        ".",
    ]
)
junk = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 300) | st.floats() | words | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words | st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
somewhere = st.sampled_from(PATHS).map(tree.dotted) | st.sampled_from(
    ["train_pipeline", "model", "find_unused_parameters"]
)


@given(overrides=st.dictionaries(somewhere, junk, min_size=1, max_size=3))
@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_anything_renders_or_is_refused(overrides: dict[str, Any]) -> None:
    job = a_job(SLOWFAST)
    job = job.model_copy(update={"spec": job.spec.model_copy(update={"overrides": overrides})})
    with contextlib.suppress(ConfigFailure):
        check_runnable(render(job))


OWN = ("ProgressHook", "ResumeHook", "ResumableTrainLoop")
"""Classes of the trainer's, which the zoo's signatures do not have."""


def check_runnable(result: Rendered) -> None:
    """What the product relies on, whatever else is in the config."""
    config = result.config
    assert tree.same(evaluated(result.text), config)
    for key in KEYS:
        assert tree.same(tree.get(config, key), tree.get(BASE, key))
    assert config["model"]["cls_head"]["num_classes"] == 7
    for _, node in tree.nodes(config):
        name = node.get("type") if isinstance(node, dict) else None
        known = name in OWN or name in ("norm", "value") or zoo.signature(str(name)) is not None
        assert name is None or known, name
    assert tree.same(config["train_pipeline"], config["train_dataloader"]["dataset"]["pipeline"])


def test_a_list_replaces_a_list_whole_as_in_mmengine() -> None:
    config = rendered(TSM, overrides={"param_scheduler": [{"type": "StepLR", "step_size": 3}]}).config
    assert config["param_scheduler"] == [{"type": "StepLR", "step_size": 3}]
