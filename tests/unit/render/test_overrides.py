"""Overrides: merged as MMEngine merges, refused by name where they cannot or must not apply."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from mmengine.config import Config

from mmaction_operator.render import merging
from mmaction_trainer.contract.errors import ConfigFailure

from .jobs import SLOWFAST, TIMESFORMER, rendered

BASE = {
    "model": {"backbone": {"type": "ResNet3d", "depth": 50, "strides": (1, 2)}, "head": {"dropout": 0.5}},
    "schedule": [{"type": "LinearLR", "end": 5}, {"type": "CosineAnnealingLR", "T_max": 50}],
    "batch": 8,
}


@pytest.mark.parametrize(
    "change",
    [
        {"model": {"backbone": {"depth": 18}}},
        {"model": {"backbone": {"_delete_": True, "type": "C3D"}}},
        {"schedule": [{"type": "StepLR"}]},
        {"schedule": {"1": {"T_max": 10}}},
        {"model.backbone.depth": 101, "model.head.dropout": 0.1},
        {"schedule.0.end": 1},
        {"new": {"key": 1}},
        {},
    ],
)
def test_the_merge_equals_mmengines(change: dict[str, Any]) -> None:
    stock = Config(copy.deepcopy(BASE))
    stock.merge_from_dict(copy.deepcopy(change), allow_list_keys=True)
    assert merging.merge(BASE, merging.expand(change)) == stock._cfg_dict.to_dict()


def test_the_order_of_keys_changes_nothing_as_an_api_server_keeps_none() -> None:
    one = {"model": {"backbone": {"pretrained": None, "resample_rate": 4}, "cls_head": {"dropout_ratio": 0.1}}}
    other = {"model": {"cls_head": {"dropout_ratio": 0.1}, "backbone": {"resample_rate": 4, "pretrained": None}}}
    replaced = [{"_delete_": True, "type": "SGD", "lr": 0.1}, {"lr": 0.1, "type": "SGD", "_delete_": True}]
    for first, second in ((one, other), *[[{"optim_wrapper": {"optimizer": each}} for each in replaced]]):
        assert rendered(SLOWFAST, overrides=first).text == rendered(SLOWFAST, overrides=second).text


def test_a_list_in_place_of_a_tuple_becomes_one() -> None:
    pipeline = [
        {"type": "DecordInit"},
        {"type": "SampleFrames", "clip_len": 32, "frame_interval": 2, "num_clips": 1},
        {"type": "DecordDecode"},
        {"type": "Resize", "scale": [-1, 128]},
        {"type": "RandomResizedCrop", "area_range": [0.5, 1.0]},
        {"type": "Resize", "scale": [112, 112], "keep_ratio": False},
        {"type": "FormatShape", "input_format": "NCTHW"},
        {"type": "PackActionInputs"},
    ]
    config = rendered(SLOWFAST, overrides={"train_pipeline": pipeline}).config
    assert config["train_dataloader"]["dataset"]["pipeline"] == config["train_pipeline"]
    assert [step.get("scale") for step in config["train_pipeline"] if step["type"] == "Resize"] == [
        (-1, 128),
        (112, 112),
    ]
    assert config["train_pipeline"][4]["area_range"] == (0.5, 1.0)


def test_a_key_that_the_class_accepts_may_be_new() -> None:
    config = rendered(SLOWFAST, overrides={"optim_wrapper": {"accumulative_counts": 4}}).config
    assert config["optim_wrapper"]["accumulative_counts"] == 4
    config = rendered(SLOWFAST, overrides={"train_dataloader.prefetch_factor": 4}).config
    assert config["train_dataloader"]["prefetch_factor"] == 4


def test_the_learning_rate_reported_is_the_one_after_overrides() -> None:
    assert rendered(SLOWFAST, overrides={"optim_wrapper.optimizer.lr": 0.5}).effective_lr == 0.5


@pytest.mark.parametrize(
    ("overrides", "where"),
    [
        ({"work_dir": "x"}, "spec.overrides.work_dir"),
        ({"launcher": "none"}, "spec.overrides.launcher"),
        ({"load_from": "x.pth"}, "spec.overrides.load_from"),
        ({"resume": True}, "spec.overrides.resume"),
        ({"custom_imports": {"imports": ["os"]}}, "spec.overrides.custom_imports"),
        ({"env_cfg": {"dist_cfg": {"backend": "gloo"}}}, "spec.overrides.env_cfg.dist_cfg"),
        ({"env_cfg": {"_delete_": True}}, "spec.overrides.env_cfg.dist_cfg"),
        ({"auto_scale_lr": {"enable": True}}, "spec.overrides.auto_scale_lr"),
        ({"randomness": {"seed": 1}}, "spec.overrides.randomness"),
        ({"train_cfg": {"max_epochs": 3}}, "spec.overrides.train_cfg.max_epochs"),
        ({"model": {"cls_head": {"num_classes": 3}}}, "spec.overrides.model.cls_head.num_classes"),
        ({"train_dataloader.dataset.ann_file": "x"}, "spec.overrides.train_dataloader.dataset.ann_file"),
    ],
)
def test_what_the_product_owns_is_refused_by_name(overrides: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigFailure) as raised:
        rendered(SLOWFAST, overrides=overrides)
    assert raised.value.where == where


@pytest.mark.parametrize(
    ("overrides", "where", "near"),
    [
        ({"model": {"backbne": {"depth": 18}}}, "spec.overrides.model.backbne", "backbone"),
        ({"optim_wrapper": {"optimzer": {}}}, "spec.overrides.optim_wrapper.optimzer", "optimizer"),
        ({"trian_cfg": {}}, "spec.overrides.trian_cfg", "train_cfg"),
        ({"model": {"cls_head": {"dropot_ratio": 0.1}}}, "spec.overrides.model.cls_head.dropot_ratio", "dropout_ratio"),
        ({"param_scheduler": {"7": {}}}, "spec.overrides.param_scheduler.7", "an index from 0 to"),
        ({"optim_wrapper.optimizer.type": "SDG"}, "spec.overrides.optim_wrapper.optimizer.type", "SGD"),
    ],
)
def test_what_does_not_exist_is_refused_with_the_nearest_name(overrides: dict[str, Any], where: str, near: str) -> None:
    with pytest.raises(ConfigFailure) as raised:
        rendered(SLOWFAST, overrides=overrides)
    assert raised.value.where == where
    assert near in str(raised.value)


@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "subprocess.Popen", "mmaction_trainer.launch.main"])
def test_a_type_never_names_something_to_import(name: str) -> None:
    with pytest.raises(ConfigFailure):
        rendered(SLOWFAST, overrides={"model": {"backbone": {"_delete_": True, "type": name}}})


HOSTILE = ["'); import os; os.system('x') #", '"""\n', "\\", "\n__import__('os')", "é\u2028", "a" * 5000]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str, tmp_path: Any) -> None:
    result = rendered(TIMESFORMER, overrides={"visualizer": {"name": text}})
    path = tmp_path / "config.py"
    path.write_text(result.text)
    assert Config.fromfile(path, import_custom_modules=False).visualizer.name == text


@pytest.mark.parametrize("text", ["{{$HOME:x}}", "{{ fileDirname }}", "{{_base_.model}}"])
def test_text_that_mmengine_would_replace_is_refused(text: str) -> None:
    with pytest.raises(ConfigFailure, match="overrides"):
        rendered(TIMESFORMER, overrides={"visualizer": {"name": text}})
