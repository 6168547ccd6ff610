"""What holds for every trainable config of the zoo, rendered for another data set."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config

from mmaction_operator import zoo
from mmaction_trainer.contract.errors import ConfigFailure

from .jobs import rendered

OMNI = "slowonly_r50_8xb16-8x8x1-256e_imagenet-kinetics400-rgb"
TRAINABLE = [name for name in zoo.names() if zoo.load(name).trainable and name != OMNI]
TEST_ONLY = [name for name in zoo.names() if not zoo.load(name).trainable]
WEIGHTS_ONLY = [
    "uniformerv2-base-p16-res224_clip-pre_u8_kinetics710-rgb",
    "uniformerv2-large-p14-res224_clip-pre_u8_kinetics710-rgb",
    "uniformerv2-large-p14-res336_clip-pre_u8_kinetics710-rgb",
]
TESTABLE = [name for name in TEST_ONLY if name not in WEIGHTS_ONLY]
"""Configs without a recipe whose weights can be tested."""
ONLY: dict[str, Any] = {"evaluation": {"only": True}, "pretrained": "s3://weights/mine.pth"}


def walk(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    yield path, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from walk(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from walk(item, f"{path}.{number}")


def plain(value: Any) -> Any:
    """mmengine's ConfigDict as dicts; tuples and lists stay what they are."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(plain(item) for item in value)
    return value


def same_types(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return isinstance(other, dict) and all(same_types(item, other[key]) for key, item in one.items())
    if isinstance(one, list | tuple):
        return type(one) is type(other) and all(map(same_types, one, other))
    return type(one) is type(other)


@pytest.mark.parametrize("name", TRAINABLE)
def test_it_renders_and_stock_mmengine_reads_the_same(name: str, tmp_path: Path) -> None:
    result = rendered(name)
    path = tmp_path / "config.py"
    path.write_text(result.text)
    loaded = plain(Config.fromfile(path, import_custom_modules=False)._cfg_dict)
    assert loaded == result.config
    assert same_types(loaded, result.config)


@pytest.mark.parametrize("name", TRAINABLE)
def test_it_fetches_nothing_by_itself(name: str) -> None:
    config = rendered(name).config
    addresses = ("http://", "https://", "torchvision://", "open-mmlab://", "mmcls://", "s3://")
    for key in ("model", "load_from"):
        assert not [
            path for path, text in walk(config[key], key) if isinstance(text, str) and text.startswith(addresses)
        ]
    assert config["resume"] is False


@pytest.mark.parametrize("name", TRAINABLE)
def test_nothing_of_the_model_has_the_old_class_count(name: str) -> None:
    model = rendered(name).config["model"]
    counts = {path: value for path, value in walk(model, "model") if path.endswith("num_classes")}
    assert set(counts.values()) == {7}
    if "aux_head_cfg" in model.get("neck", {}):
        assert model["neck"]["aux_head_cfg"]["out_channels"] == 7


@pytest.mark.parametrize("name", TRAINABLE)
def test_the_learning_rate_is_written_out(name: str) -> None:
    result = rendered(name, training={"lr": 0.0123, "batchSizePerGPU": 2, "epochs": 3})
    assert result.effective_lr == result.config["optim_wrapper"]["optimizer"]["lr"] == 0.0123
    assert result.config["auto_scale_lr"] == {"enable": False, "base_batch_size": 8}


@pytest.mark.parametrize("name", TRAINABLE)
@pytest.mark.parametrize("epochs", [1, 2, 30])
def test_every_schedule_ends_with_the_training(name: str, epochs: int) -> None:
    config = rendered(name, training={"epochs": epochs}).config
    assert config["train_cfg"]["max_epochs"] == epochs
    for scheduler in config["param_scheduler"]:
        for bound in ("begin", "end", "T_max"):
            assert scheduler.get(bound) is None or scheduler[bound] <= epochs
        milestones = scheduler.get("milestones", [])
        assert list(milestones) == sorted(set(milestones))


@pytest.mark.parametrize("name", TRAINABLE)
def test_pipelines_stand_in_both_places(name: str) -> None:
    config = rendered(name).config
    for stage in ("train", "val", "test"):
        dataset = config[f"{stage}_dataloader"]["dataset"]
        inner = dataset.get("dataset", dataset)
        assert config[f"{stage}_pipeline"] == inner["pipeline"]
        assert inner["ann_file"] == f"data/{stage}.txt"
        assert set(inner["data_prefix"].values()) == {"data/videos"}


@pytest.mark.parametrize("name", TESTABLE)
def test_a_config_without_a_recipe_does_not_train_and_its_refusal_says_what_tests_it(name: str) -> None:
    with pytest.raises(ConfigFailure, match=r"^spec\.model\.config: ") as raised:
        rendered(name)
    assert f"{name} has no training recipe" in str(raised.value)
    assert raised.value.do == "`evaluation: {only: true}` tests its weights."


@pytest.mark.parametrize("name", WEIGHTS_ONLY)
@pytest.mark.parametrize("job", [{}, ONLY])
def test_a_config_that_only_others_start_from_is_refused_with_that_reason(name: str, job: dict[str, Any]) -> None:
    with pytest.raises(ConfigFailure, match=r"^spec\.model\.config: ") as raised:
        rendered(name, **job)
    assert f"{name} has neither data nor pipelines in MMAction2" in str(raised.value)
    assert "uniformerv2-base-p16-res224_clip_u8_kinetics710-rgb" in raised.value.accepted
    assert not raised.value.do


@pytest.mark.parametrize("name", [*TRAINABLE, *TESTABLE])
def test_a_test_alone_renders_to_what_mmengine_needs_for_a_test_and_no_more(name: str, tmp_path: Path) -> None:
    result = rendered(name, **ONLY)
    config = result.config
    idle = ("train_", "val_", "optim_wrapper", "param_scheduler", "auto_scale_lr")
    assert not [key for key in config if key.startswith(idle)]
    assert {"test_pipeline", "test_dataloader", "test_evaluator", "test_cfg", "model"} <= config.keys()
    assert (config["load_from"], config["default_hooks"]["checkpoint"]) == ("pretrained/mine.pth", None)
    dataset = config["test_dataloader"]["dataset"]
    assert dataset["ann_file"] == "data/test.txt"
    assert not {"delimiter", "data_root"} & dataset.keys()
    assert (result.effective_lr, result.epochs, result.val_protocol) == (None, 0, None)
    path = tmp_path / "config.py"
    path.write_text(result.text)
    assert plain(Config.fromfile(path, import_custom_modules=False)._cfg_dict) == config


@pytest.mark.parametrize("name", TRAINABLE)
def test_the_test_of_a_test_alone_is_the_test_of_a_training(name: str) -> None:
    alone, whole = rendered(name, **ONLY), rendered(name, pretrained=ONLY["pretrained"])
    for key in ("test_pipeline", "test_dataloader", "test_evaluator", "test_cfg", "model"):
        assert alone.config[key] == whole.config[key]
    assert (alone.test_protocol, alone.sees.text, alone.media) == (whole.test_protocol, whole.sees.text, whole.media)


def test_a_config_that_trains_on_videos_and_images_together_is_refused_with_what_to_use_instead() -> None:
    with pytest.raises(ConfigFailure, match=r"ImageNet's images.*slowonly_r50_8xb16-4x16x1-256e_kinetics400-rgb"):
        rendered(OMNI)


def test_rendering_imports_neither_torch_nor_mmengine_and_gives_the_same_bytes_in_any_process() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from tests.unit.render.jobs import rendered, MVIT\n"
        "print(rendered(MVIT).sha256)\n"
        "print([name for name in ('torch', 'mmengine', 'mmaction', 'numpy') if name in sys.modules])"
    )
    root = str(Path(__file__).parents[3])
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code, root],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert outputs.pop().splitlines()[1] == "[]"
