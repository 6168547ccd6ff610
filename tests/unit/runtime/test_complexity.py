"""Rendered models are the models that the zoo describes: parameters and FLOPs at 101 classes and 224 x 224.

The figures are MMAction2's own tool's (tools/analysis_tools/get_flops.py) with the shape given as (1, 3, frames, 224,
224): parameters of the whole model, FLOPs of the features of one view.
"""

from __future__ import annotations

import pytest

from mmaction_operator import api
from mmaction_operator.render import render

MODELS = [
    ("i3d_imagenet-pretrained-r50_8xb8-32x2x1-100e_kinetics400-rgb", 32, 27.431e6, 33.271e9, 1e-3),
    ("slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb", 32, 33.79e6, 27.816e9, 1e-3),
    ("timesformer_divST_8xb8-8x32x1-15e_kinetics400-rgb", 8, 121.34e6, 196.05e9, 1e-3),
    # torch's fused attention is not counted; which ops are fused depends on the version
    ("uniformerv2-base-p16-res224_clip_8xb32-u8_kinetics400-rgb", 8, 114.32e6, 142.56e9, 0.05),
]


def manifest(config: str) -> dict[str, object]:
    return {
        "apiVersion": "mmaction.dev/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": "complexity"},
        "spec": {
            "model": {"config": config, "pretrained": "none"},
            "dataset": {"uri": "/data", "format": "ucf101"},
            "storage": {"uri": "/results"},
        },
    }


@pytest.mark.parametrize(("config", "frames", "params", "flops", "tolerance"), MODELS)
def test_params_and_flops_are_the_published_ones(
    config: str, frames: int, params: float, flops: float, tolerance: float
) -> None:
    import torch

    from mmaction_trainer.runtime import compat

    compat.apply()
    import mmaction.models  # noqa: F401  (registers them)
    from mmaction.registry import MODELS as REGISTRY
    from mmengine.analysis import get_model_complexity_info
    from mmengine.registry import init_default_scope

    init_default_scope("mmaction")
    model = REGISTRY.build(render(api.parse(manifest(config))).config["model"]).eval()
    model.forward = model.extract_feat
    with torch.no_grad():
        info = get_model_complexity_info(model, (1, 3, frames, 224, 224))
    assert info["params"] == pytest.approx(params, rel=1e-3)
    assert info["flops"] == pytest.approx(flops, rel=tolerance)
