"""The zoo says what MMAction2 says, and can be read without it."""

import importlib
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mmaction_operator import zoo

ROOT = Path(__file__).parents[2]
SLOWFAST = "slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb"

# Keys in MMAction2's own configs that MMAction2 refuses: these loaders cannot be built as they stand.
UPSTREAM_ERRORS = {
    ("tsm_imagenet-pretrained-r50_8xb16-1x1x16-50e_kinetics400-rgb", "DecordDecode", "io_backend"),
    ("tsm_imagenet-pretrained-r50_8xb16-1x1x16-50e_sthv2-rgb", "test_dataloader", "pipeline"),
    ("tsm_imagenet-pretrained-r50_8xb16-1x1x16-50e_sthv2-rgb", "test_dataloader", "test_mode"),
}


@pytest.fixture(scope="module")
def generator() -> Iterator[ModuleType]:
    sys.path.insert(0, str(ROOT / "scripts"))
    yield importlib.import_module("zoo")
    sys.path.remove(str(ROOT / "scripts"))
    del sys.modules["zoo"]


def difference(ours: object, theirs: object, where: str = "config") -> str | None:
    """The first place where two configs differ in a value, a type or the order of keys."""
    if type(ours) is not type(theirs):
        return f"{where}: {type(ours).__name__} instead of {type(theirs).__name__}"
    if isinstance(ours, dict) and isinstance(theirs, dict):
        if list(ours) != list(theirs):
            return f"{where}: keys {list(ours)} instead of {list(theirs)}"
        pairs = [(f"{where}.{key}", ours[key], theirs[key]) for key in ours]
    elif isinstance(ours, list | tuple) and isinstance(theirs, list | tuple):
        if len(ours) != len(theirs):
            return f"{where}: length {len(ours)} instead of {len(theirs)}"
        pairs = [(f"{where}.{i}", *pair) for i, pair in enumerate(zip(ours, theirs, strict=True))]
    else:
        return None if ours == theirs else f"{where}: {ours!r} instead of {theirs!r}"
    return next((found for place, a, b in pairs if (found := difference(a, b, place))), None)


def dicts(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[Any, Any]]]:
    if isinstance(value, dict):
        yield path, value
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, child in children:
        yield from dicts(child, (*path, str(key)))


# The snapshot against MMAction2


def test_every_recognition_config_of_mmaction2_is_in_the_zoo(generator: ModuleType) -> None:
    files = sorted(path.stem for path in (generator.CONFIGS / "recognition").rglob("*.py"))
    assert list(zoo.names()) == files
    assert len(files) == 125


@pytest.mark.parametrize("name", zoo.names())
def test_a_config_is_what_mmengine_reads_down_to_tuples_and_key_order(name: str, generator: ModuleType) -> None:
    entry = zoo.load(name)
    theirs = generator.Config.fromfile(generator.CONFIGS / entry.path).to_dict()
    assert difference(entry.config, theirs) is None


def test_the_snapshot_is_fresh() -> None:
    # In a process of its own: other tests register types of theirs in MMAction2's registries.
    command = [sys.executable, str(ROOT / "scripts/zoo.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_check_names_the_stale_files_and_leaves_them_alone(
    generator: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(generator, "SNAPSHOT", tmp_path)
    monkeypatch.setattr(generator, "snapshot", lambda: {"fresh.json": {}, "changed.json": {"a": 1}, "new.json": {}})
    before = {"fresh.json": "{}\n", "changed.json": '{"a": 2}\n', "gone.json": "{}\n"}
    for name, content in before.items():
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(sys, "argv", ["zoo.py", "--check"])
    assert generator.main() == 1
    named = {Path(line.split(" is stale")[0]).name for line in capsys.readouterr().err.splitlines()}
    assert named == {"changed.json", "gone.json", "new.json"}
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before
    monkeypatch.setattr(sys, "argv", ["zoo.py"])
    assert generator.main() == 0
    assert {path.name for path in tmp_path.iterdir()} == {"fresh.json", "changed.json", "new.json"}


def test_every_file_of_the_snapshot_says_what_it_was_generated_from() -> None:
    files = sorted((ROOT / "operator/mmaction_operator/zoo/snapshot").glob("*.json"))
    assert len(files) == 24
    for path in files:
        generated = json.loads(path.read_text())["generated"]
        assert (generated["mmaction2"], generated["mmengine"]) == ("1.2.0", "0.10.7")


# Reading


def test_reading_the_zoo_imports_none_of_the_training_stack_and_opens_one_family() -> None:
    code = (
        "import sys; from mmaction_operator import zoo; from mmaction_operator.zoo.snapshot_files import read\n"
        f"zoo.load({SLOWFAST!r}); assert read.cache_info().currsize == 2, read.cache_info()\n"
        "zoo.signature('ResNet3d'); zoo.section_signature(()); zoo.tuple_fields()\n"
        "heavy = {'torch', 'mmengine', 'mmaction', 'mmcv', 'decord', 'numpy'} & sys.modules.keys()\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_loaded_config_is_the_callers_own() -> None:
    first = zoo.load(SLOWFAST)
    first.config["model"]["cls_head"]["num_classes"] = 101
    first.config["train_pipeline"].clear()
    second = zoo.load(SLOWFAST)
    assert second.config["model"]["cls_head"]["num_classes"] == 400
    assert second.config["train_pipeline"]


def test_labels_that_swap_when_a_video_is_mirrored_stay_integers() -> None:
    config = zoo.load("tsm_imagenet-pretrained-r50_8xb16-1x1x8-50e_sthv2-rgb").config
    assert config["sthv2_flip_label_map"] == {86: 87, 87: 86, 93: 94, 94: 93, 166: 167, 167: 166}


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgbb", SLOWFAST),
        ("slowfast_r50_4x16x1_256e_kinetics400_rgb", SLOWFAST),
        ("configs/recognition/slowfast/slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb.py", SLOWFAST),
        ("SLOWFAST_R50_8XB8-4X16X1-256E_KINETICS400-RGB", SLOWFAST),
        ("timesformer-divst", "timesformer_divST_8xb8-8x32x1-15e_kinetics400-rgb"),
        ("swin_tiny", "swin-tiny-p244-w877_in1k-pre_8xb8-amp-32x2x1-30e_kinetics400-rgb"),
    ],
)
def test_a_name_that_is_nearly_right_suggests_the_right_one_first(asked: str, first: str) -> None:
    with pytest.raises(zoo.UnknownConfig) as caught:
        zoo.load(asked)
    assert caught.value.nearest[0] == first
    assert asked in str(caught.value)
    assert first in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "family", "count"),
    [("slowfast", "slowfast", 5), ("slowfats", "slowfast", 5), ("csn", "csn", 5), ("omnisource", "omnisource", 1)],
)
def test_a_family_suggests_up_to_five_of_its_configs(asked: str, family: str, count: int) -> None:
    with pytest.raises(zoo.UnknownConfig) as caught:
        zoo.load(asked)
    assert len(caught.value.nearest) == count
    assert {zoo.load(name).family for name in caught.value.nearest} == {family}


@pytest.mark.parametrize("asked", ["", "banana"])
def test_a_name_like_nothing_suggests_nothing(asked: str) -> None:
    with pytest.raises(LookupError) as caught:
        zoo.load(asked)
    assert "did you mean" not in str(caught.value)


# What is published about a config


@pytest.mark.parametrize(
    ("name", "sha256", "top1", "top5", "params", "flops", "epochs"),
    [
        (SLOWFAST, "701b0f6f", 75.55, 92.35, 34_500_000, 36_300_000_000, 256),
        (
            "i3d_imagenet-pretrained-r50_8xb8-32x2x1-100e_kinetics400-rgb",
            *("e213c223", 73.47, 91.27, 28_000_000, 43_500_000_000, 100),
        ),
        (
            "timesformer_divST_8xb8-8x32x1-15e_kinetics400-rgb",
            *("a4d0d01f", 77.69, 93.45, 122_000_000, 196_000_000_000, 15),
        ),
        ("uniformerv2-base-p16-res224_clip_8xb32-u8_kinetics400-rgb", "e29fc968", 84.4, 96.3, None, None, 55),
        (
            "uniformerv2-base-p16-res224_clip-kinetics710-pre_8xb32-u8_kinetics400-rgb",
            *("75be0806", 85.8, 97.1, None, None, 5),
        ),
    ],
)
def test_the_baselines_carry_their_weights_and_numbers(
    name: str, sha256: str, top1: float, top5: float, params: int | None, flops: int | None, epochs: int
) -> None:
    entry = zoo.load(name)
    assert entry.weights is not None
    assert entry.weights.sha256_prefix == sha256
    assert entry.weights.url.endswith(f"/{name}/{name}_{entry.weights.url[-21:]}")
    assert [(line.metric, line.value) for line in entry.reported] == [("top1", top1), ("top5", top5)]
    assert {line.dataset for line in entry.reported} == {"Kinetics-400"}
    assert (entry.params, entry.flops, entry.epochs) == (params, flops, epochs)
    assert entry.trainable


def test_no_two_configs_share_a_checkpoint_and_every_file_name_carries_its_hash() -> None:
    weights = [entry.weights for entry in map(zoo.load, zoo.names()) if entry.weights]
    assert len(weights) == 120
    assert max(Counter(found.url for found in weights).values()) == 1
    assert all(found.url.endswith(f"-{found.sha256_prefix}.pth") for found in weights)


def test_errors_of_the_metafiles_are_put_right() -> None:
    small = zoo.load("vit-small-p16_videomaev2-vit-g-dist-k710-pre_16x4x1_kinetics-400")
    assert small.weights is not None
    assert small.weights.sha256_prefix == "25c748fd"
    assert zoo.load("mvit-large-p244_40x3x1_kinetics400-rgb").reported[0].value == 85.4
    assert zoo.load("tsm_imagenet-pretrained-r101_8xb16-1x1x8-50e_sthv2-rgb").params == 42_860_000
    assert zoo.load("trn_imagenet-pretrained-r50_8xb16-1x1x8-50e_sthv2-rgb").pretrained_on == "ImageNet"


def test_a_config_says_in_its_name_of_which_data_its_accuracies_are() -> None:
    for entry in map(zoo.load, zoo.names()):
        for line in entry.reported:
            said = {"SthV1": "sthv1", "SthV2": "sthv2", "UCF101": "ucf101", "Moments in Time V1": "mitv1"}
            dataset = said.get(line.dataset) or line.dataset.replace("Kinetics-", "kinetics-?")
            assert re.search(dataset + "(-rgb)?$", entry.name), (entry.name, line)


def test_an_accuracy_of_another_protocol_has_another_name() -> None:
    reported = zoo.load("trn_imagenet-pretrained-r50_8xb16-1x1x8-50e_sthv1-rgb").reported
    assert zoo.Reported("SthV1", "top1", 33.65) in reported
    assert zoo.Reported("SthV1", "top1_efficient", 31.6) in reported


def test_configs_that_cannot_train_are_marked() -> None:
    entries = [zoo.load(name) for name in zoo.names()]
    test_only = Counter(entry.family for entry in entries if not entry.trainable)
    assert test_only == {"uniformerv2": 17, "uniformer": 3, "videomae": 2, "videomaev2": 2, "x3d": 2}
    assert all("train_dataloader" in entry.config for entry in entries if entry.trainable)


def test_the_modality_is_what_the_model_sees() -> None:
    entries = [zoo.load(name) for name in zoo.names()]
    assert {entry.name for entry in entries if entry.modality == "flow"} == {
        "slowonly_r50_8xb16-16x4x1-256e_kinetics400-flow",
        "tsn_imagenet-pretrained-r50_8xb32_5x1x3-110e_kinetics400-flow",
    }
    assert [entry.family for entry in entries if entry.modality == "omni"] == ["omnisource"]
    assert Counter(entry.dataset_type for entry in entries) == {
        "VideoDataset": 107,
        "RawframeDataset": 8,
        "RepeatAugDataset": 4,
        "ConcatDataset": 3,
        None: 3,
    }


# What types and sections accept


def test_every_key_of_the_zoo_is_accepted_where_it_stands_but_for_known_errors() -> None:
    configured = zoo.section_signature(())
    assert configured is not None
    refused, unknown = set(), set()
    for name in zoo.names():
        config = {key: value for key, value in zoo.load(name).config.items() if key in configured.params}
        for path, found in dicts(config):
            typed = isinstance(found.get("type"), str) and path[-1] != "clip_grad"
            owner = found["type"] if typed else ".".join(path)
            accepted = zoo.signature(owner) if typed else zoo.section_signature(path)
            if accepted is None:
                unknown.add(owner)
            else:
                refused |= {(name, owner, key) for key in found if key != "type" and not accepted.accepts(str(key))}
    assert not unknown
    assert refused == UPSTREAM_ERRORS


@pytest.mark.parametrize(
    ("type_name", "key"),
    [
        ("ResNet3d", "frozen_stages"),
        ("ResNet3dSlowOnly", "frozen_stages"),
        ("resnet3d", "frozen_stages"),
        ("I3DHead", "label_smooth_eps"),
        ("mmaction.I3DHead", "topk"),
        ("VideoDataset", "max_refetch"),
        ("CheckpointHook", "save_best"),
        ("CheckpointHook", "priority"),
        ("EMAHook", "momentum"),
        ("OptimWrapper", "accumulative_counts"),
        ("AmpOptimWrapper", "accumulative_counts"),
        ("AmpOptimWrapper", "paramwise_cfg"),
        ("CosineAnnealingLR", "eta_min_ratio"),
        ("CosineAnnealingLR", "convert_to_iter_based"),
        ("AdamW", "fused"),
        ("BN3d", "requires_grad"),
        ("DenseSampleFrames", "frame_interval"),
        ("DataLoader", "prefetch_factor"),
        ("EpochBasedTrainLoop", "val_begin"),
        ("env_cfg", "resource_limit"),
    ],
)
def test_a_type_accepts_a_key_that_no_config_uses(type_name: str, key: str) -> None:
    found = zoo.signature(type_name)
    assert found is not None
    assert key in found.params


@pytest.mark.parametrize(
    ("type_name", "key"),
    [
        ("ResNet3d", "frozen_stage"),
        ("ResNet3dSlowOnly", "frozen_stage"),
        ("resnet3d", "frozen_stage"),
        ("X3D", "frozen_stage"),
        ("I3DHead", "dropout"),
        ("VideoDataset", "anno_file"),
        ("PoseDataset", "modality"),  # its parent's, which it fills in itself
        ("CheckpointHook", "savebest"),
        ("CosineAnnealingLR", "param_name"),  # filled in by position on the way up
        ("CosineAnnealingLR", "optimizer"),
        ("AdamW", "params"),
        ("SampleFrames", "frame_intervals"),
        ("EpochBasedTrainLoop", "max_epoch"),
        ("DataLoader", "shuffle"),
    ],
)
def test_a_type_refuses_a_key_that_it_would_choke_on_or_ignore(type_name: str, key: str) -> None:
    found = zoo.signature(type_name)
    assert found is not None
    assert not found.accepts(key)


@pytest.mark.parametrize("type_name", ["ResNet3d", "ResNet3dSlowOnly", "ResNet3dCSN", "X3D"])
def test_backbones_said_to_take_no_other_keyword_really_take_none(type_name: str, generator: ModuleType) -> None:
    from mmengine.registry import MODELS

    generator.zoo_signatures.register_everything()
    arguments = {"depth": 50, "pretrained": None} if type_name != "X3D" else {"gamma_d": 2.2}
    with pytest.raises(TypeError, match="frozen_stage"):
        MODELS.build({"type": f"mmaction.{type_name}", "frozen_stage": 1, **arguments})


def test_what_takes_keywords_for_somebody_else_is_open() -> None:
    for type_name in ("PytorchVideoWrapper", "TorchVisionWrapper", "mmcls.ResNeXt", "torchvision.densenet161"):
        found = zoo.signature(type_name)
        assert found is not None
        assert found.accepts("anything_at_all")


def test_a_type_that_nobody_registered_has_no_signature() -> None:
    assert zoo.signature("Resise") is None


@pytest.mark.parametrize(
    ("path", "accepted", "refused"),
    [
        ("", "custom_hooks", "train_dataloaders"),
        ("train_dataloader", "prefetch_factor", "prefetch"),
        ("val_dataloader", "num_batch_per_epoch", "pipeline"),
        ("train_dataloader.dataset.data_prefix", "video", "videos"),
        ("train_dataloader.dataset.datasets.0.data_prefix", "img", "videos"),
        ("train_cfg", "val_begin", "epochs"),
        ("val_cfg", "fp16", "interval"),
        ("optim_wrapper", "accumulative_counts", "accumulate"),
        ("optim_wrapper.clip_grad", "error_if_nonfinite", "max_value"),
        ("optim_wrapper.paramwise_cfg.custom_keys", "backbone.layer1", ""),
        ("optim_wrapper.paramwise_cfg.custom_keys.backbone", "lr_mult", "lr"),
        ("env_cfg", "cudnn_benchmark", "cudnn_benchmarks"),
        ("env_cfg.mp_cfg", "mp_start_method", "start_method"),
        ("env_cfg.dist_cfg", "timeout", ""),
        ("default_hooks", "visualization", "chekpoint"),
        ("randomness", "deterministic", "seeds"),
        ("auto_scale_lr", "base_batch_size", "batch_size"),
        ("log_processor", "window_size", "window"),
        ("model.test_cfg", "max_testing_views", "max_views"),
        ("model.backbone.non_local_cfg", "sub_sample", "subsample"),
        ("model.backbone.slow_pathway.non_local_cfg", "mode", "modes"),
        ("model.neck.aux_head_cfg", "loss_weight", "num_classes"),
        ("val_evaluator.metric_options.top_k_accuracy", "topk", "k"),
    ],
)
def test_a_section_without_a_type_knows_its_keys(path: str, accepted: str, refused: str) -> None:
    found = zoo.section_signature(tuple(path.split(".")) if path else ())
    assert found is not None
    assert found.accepts(accepted)
    assert not refused or not found.accepts(refused)


def test_a_dict_in_no_known_section_has_no_signature() -> None:
    assert zoo.section_signature(("model", "backbone", "somewhere")) is None


# Tuples


def test_tuple_fields_hold_every_tuple_of_the_zoo_and_no_list_of_it() -> None:
    tuples: set[tuple[str, str]] = set()
    lists: set[tuple[str, str]] = set()
    for name in zoo.names():
        for path, found in dicts(zoo.load(name).config):
            owner = found["type"] if isinstance(found.get("type"), str) else (path or ("",))[-1]
            tuples |= {(owner, key) for key, value in found.items() if isinstance(value, tuple)}
            lists |= {(owner, key) for key, value in found.items() if isinstance(value, list)}
    assert tuples <= zoo.tuple_fields()
    assert not lists & zoo.tuple_fields()


@pytest.mark.parametrize(
    ("type_name", "key"),
    [
        ("Resize", "scale"),
        ("RandomRescale", "scale_range"),
        ("MultiScaleCrop", "scales"),
        ("RandomResizedCrop", "area_range"),
        ("RandomResizedCrop", "aspect_ratio_range"),
        ("AccMetric", "metric_list"),
        ("top_k_accuracy", "topk"),
        *((head, "topk") for head in ("I3DHead", "SlowFastHead", "TimeSformerHead", "UniFormerHead", "MViTHead")),
        *((head, "topk") for head in ("TSNHead", "TSMHead", "TRNHead", "TPNHead", "X3DHead")),
    ],
)
def test_fields_that_break_as_lists_are_tuple_fields(type_name: str, key: str) -> None:
    assert (type_name, key) in zoo.tuple_fields()
