"""Weights and reported numbers of the zoo, from the metafile.yml of each family, its known errors put right.

The metafiles are written by hand beside the READMEs, and few people read them, so that errors stayed: one row sends
ViT-S to the weights of ViT-B, of which MMEngine would load what fits, with a warning. Each correction below is what the
README of the same release says, whose links people use. (The READMEs are not in the wheel, or they would be read here.)
A correction that has nothing left to correct fails the generator.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

OPENMMLAB = "https://download.openmmlab.com/mmaction/v1.0/recognition"
SUFFIXES = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
METRICS = {"Top 1 Accuracy": "top1", "Top 5 Accuracy": "top5"}
EFFICIENT = " (efficient)"

# Rows under a name that is not theirs: (name, architecture) -> the config they describe.
MISNAMED = {
    ("tsm_imagenet-pretrained-r101_8xb16-1x1x8-50e_sthv2-rgb", "MobileNetV2"): (
        "tsm_imagenet-pretrained-mobilenetv2_8xb16-1x1x8-100e_kinetics400-rgb"
    ),
    ("uniformerv2-base-p16-res224_clip-pre_8xb32-u8_kinetics700-rgb", "UniFormerV2-B/16"): (
        "uniformerv2-base-p16-res224_clip_8xb32-u8_kinetics700-rgb"
    ),
}

# Checkpoints of another model, of an earlier release, in another folder or not a URL at all.
WEIGHTS = {
    "slowfast_r101_8xb8-8x8x1-256e_kinetics400-rgb": (
        "slowfast/slowfast_r101_8xb8-8x8x1-256e_kinetics400-rgb/"
        "slowfast_r101_8xb8-8x8x1-256e_kinetics400-rgb_20220818-9c0e09bd.pth"
    ),
    "slowonly_imagenet-pretrained-r50_16xb16-4x16x1-steplr-150e_kinetics700-rgb": (
        "slowonly/slowonly_imagenet-pretrained-r50_16xb16-4x16x1-steplr-150e_kinetics700-rgb/"
        "slowonly_imagenet-pretrained-r50_16xb16-4x16x1-steplr-150e_kinetics700-rgb_20221013-98b1b0a7.pth"
    ),
    "slowonly_imagenet-pretrained-r50_16xb16-8x8x1-steplr-150e_kinetics700-rgb": (
        "slowonly/slowonly_imagenet-pretrained-r50_16xb16-8x8x1-steplr-150e_kinetics700-rgb/"
        "slowonly_imagenet-pretrained-r50_16xb16-8x8x1-steplr-150e_kinetics700-rgb_20221013-15b93b10.pth"
    ),
    "tpn-slowonly_imagenet-pretrained-r50_8xb8-8x8x1-150e_kinetics400-rgb": (
        "tpn/tpn_imagenet_pretrained_slowonly_r50_8x8x1_150e_kinetics_rgb/"
        "tpn-slowonly_imagenet-pretrained-r50_8xb8-8x8x1-150e_kinetics400-rgb_20220913-fed3f4c1.pth"
    ),
    "tpn-tsm_imagenet-pretrained-r50_8xb8-1x1x8-150e_sthv1-rgb": (
        "tpn/tpn-tsm_imagenet-pretrained-r50_8xb8-1x1x8-150e_sthv1-rgb/"
        "tpn-tsm_imagenet-pretrained-r50_8xb8-1x1x8-150e_sthv1-rgb_20230221-940a3615.pth"
    ),
    "tsm_imagenet-pretrained-mobilenetv2_8xb16-1x1x8-100e_kinetics400-rgb": (
        "tsm/tsm_imagenet-pretrained-mobilenetv2_8xb16-1x1x8-100e_kinetics400-rgb/"
        "tsm_imagenet-pretrained-mobilenetv2_8xb16-1x1x8-100e_kinetics400-rgb_20230414-401127fd.pth"
    ),
    "tsn_imagenet-pretrained-swin-transformer_32xb8-1x1x8-50e_kinetics400-rgb": (
        "tsn/tsn_imagenet-pretrained-swin-transformer_32xb8-1x1x8-50e_kinetics400-rgb/"
        "tsn_imagenet-pretrained-swin-transformer_32xb8-1x1x8-50e_kinetics400-rgb_20230530-428f0064.pth"
    ),
    "uniformerv2-base-p16-res224_clip-pre_u8_kinetics710-rgb": (
        "uniformerv2/uniformerv2-base-p16-res224_clip-pre_u8_kinetics710-rgb/"
        "uniformerv2-base-p16-res224_clip-pre_u8_kinetics710-rgb_20230612-63cdbad9.pth"
    ),
    "uniformerv2-large-p14-res336_clip-kinetics710-pre_u32_kinetics700-rgb": (
        "uniformerv2/kinetics700/"
        "uniformerv2-large-p14-res336_clip-kinetics710-pre_u32_kinetics700-rgb_20221219-95cf9046.pth"
    ),
    "vit-small-p16_videomaev2-vit-g-dist-k710-pre_16x4x1_kinetics-400": (
        "videomaev2/vit-small-p16_videomaev2-vit-g-dist-k710-pre_16x4x1_kinetics-400/"
        "vit-small-p16_videomaev2-vit-g-dist-k710-pre_16x4x1_kinetics-400_20230510-25c748fd.pth"
    ),
}

# Top-1 and top-5 of the same checkpoint: measured again since, copied from another row or repository, mistyped.
ACCURACIES = {
    "mvit-base-p244_32x3x1_kinetics400-rgb": (82.6, 95.8),
    "mvit-large-p244_40x3x1_kinetics400-rgb": (85.4, 96.2),
    "slowonly_imagenet-pretrained-r50_16xb16-4x16x1-steplr-150e_kinetics700-rgb": (65.52, 86.39),
    "slowonly_imagenet-pretrained-r50_16xb16-8x8x1-steplr-150e_kinetics700-rgb": (67.67, 87.8),
    "slowonly_imagenet-pretrained-r50_8xb16-4x16x1-steplr-150e_kinetics400-rgb": (75.12, 91.72),
    "slowonly_imagenet-pretrained-r50_8xb16-8x8x1-steplr-150e_kinetics400-rgb": (76.45, 92.55),
    "slowonly_r101_8xb16-8x8x1-196e_kinetics400-rgb": (76.59, 92.8),
    "slowonly_r50-in1k-pre-nl-embedded-gaussian_8xb16-4x16x1-steplr-150e_kinetics400-rgb": (75.07, 91.69),
    "slowonly_r50-in1k-pre-nl-embedded-gaussian_8xb16-8x8x1-steplr-150e_kinetics400-rgb": (76.65, 92.47),
    "slowonly_r50_8xb16-4x16x1-256e_kinetics400-rgb": (72.97, 90.88),
    "slowonly_r50_8xb16-8x8x1-256e_kinetics400-rgb": (75.15, 92.11),
    "tin_imagenet-pretrained-r50_8xb6-1x1x8-40e_sthv1-rgb": (39.68, 68.55),
    "tsm_imagenet-pretrained-mobilenetv2_8xb16-1x1x8-100e_kinetics400-rgb": (68.71, 88.32),
    "uniformerv2-base-p16-res224_clip_8xb32-u8_kinetics400-rgb": (84.4, 96.3),
}
# The data set that the accuracies are of.
DATASETS = {
    "tsn_imagenet-pretrained-r50_8xb32-1x1x16-50e_sthv2-rgb": "SthV2",
    "tsn_imagenet-pretrained-r50_8xb32-1x1x8-50e_sthv2-rgb": "SthV2",
    "uniformerv2-large-p14-res336_clip-kinetics710-pre_u32_kinetics700-rgb": "Kinetics-700",
}
METADATA = {
    "trn_imagenet-pretrained-r50_8xb16-1x1x8-50e_sthv2-rgb": {"Pretrained": "ImageNet", "Resolution": "224x224"},
}


def rows(recognition: Path) -> dict[str, dict[str, Any]]:
    """The metafile row of each config by its name. `*_infer` rows, the original authors' weights, are left out."""
    misnamed = dict(MISNAMED)
    by_name: dict[str, dict[str, Any]] = {}
    for metafile in sorted(recognition.glob("*/metafile.yml")):
        for row in yaml.safe_load(metafile.read_text())["Models"]:
            name = misnamed.pop((row["Name"], row["Metadata"]["Architecture"]), row["Name"])
            if not name.endswith("_infer"):
                assert name not in by_name, f"two rows for {name}"
                by_name[name] = row
    assert not misnamed, f"nothing left to rename: {sorted(misnamed)}"
    return {name: corrected(name, row) for name, row in by_name.items()}


def corrected(name: str, row: dict[str, Any]) -> dict[str, Any]:
    if path := WEIGHTS.get(name):
        url = f"{OPENMMLAB}/{path}"
        assert row["Weights"] != url, f"{name}: its weights need no correction any more"
        row = {**row, "Weights": url}
    if accuracies := ACCURACIES.get(name):
        metrics = dict(zip(METRICS, accuracies, strict=True))
        (result,) = row["Results"]
        assert result["Metrics"] != metrics, f"{name}: its accuracies need no correction any more"
        row = {**row, "Results": [{**result, "Metrics": metrics}]}
    if dataset := DATASETS.get(name):
        (result,) = row["Results"]
        assert result["Dataset"] != dataset, f"{name}: its data set needs no correction any more"
        row = {**row, "Results": [{**result, "Dataset": dataset}]}
    if metadata := METADATA.get(name):
        assert not metadata.items() <= row["Metadata"].items(), f"{name}: its metadata needs no correction any more"
        row = {**row, "Metadata": {**row["Metadata"], **metadata}}
    return row


def facts(row: Mapping[str, Any] | None) -> dict[str, object]:
    """The part of an index entry that comes from the metafile; all None or empty for a config without a row."""
    row = row or {}
    about = row.get("Metadata", {})
    return {
        "weights": weights(row["Weights"]) if row else None,
        "reported": [line for result in row.get("Results") or () for line in reported(result)],
        "params": count(about.get("Parameters", about.get("params"))),
        "flops": count(about.get("FLOPs")),
        "pretrained_on": None if about.get("Pretrained") == "None" else about.get("Pretrained"),
        "resolution": about.get("Resolution"),
    }


def weights(url: str) -> dict[str, str | None]:
    assert url.startswith("https://"), f"not a URL of a checkpoint: {url}"
    sha256 = re.search(r"-([0-9a-f]{8})\.pth$", url)
    return {"url": url, "sha256_prefix": sha256[1] if sha256 else None}


def reported(result: Mapping[str, Any]) -> list[dict[str, object]]:
    """Accuracies in percent. TSM-like models also report an `efficient` protocol, 1 clip and a centre crop."""
    lines: list[dict[str, object]] = []
    for title, value in result["Metrics"].items():
        metric = METRICS[title.removesuffix(EFFICIENT)] + ("_efficient" if title.endswith(EFFICIENT) else "")
        lines.append({"dataset": result["Dataset"], "metric": metric, "value": float(value)})
    return lines


def count(text: str | int | None) -> int | None:
    """36.3G -> 36300000000."""
    if text is None or isinstance(text, int):
        return text
    return int(Decimal(text[:-1]) * SUFFIXES[text[-1]])
