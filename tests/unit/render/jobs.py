"""Jobs for the renderer's tests."""

from __future__ import annotations

import functools
from typing import Any

from mmaction_operator import api
from mmaction_operator.render import Rendered, render

SLOWFAST = "slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb"
TIMESFORMER = "timesformer_divST_8xb8-8x32x1-15e_kinetics400-rgb"
UNIFORMER = "uniformerv2-base-p16-res224_clip_8xb32-u8_kinetics400-rgb"
I3D = "i3d_imagenet-pretrained-r50_8xb8-32x2x1-100e_kinetics400-rgb"
TSM = "tsm_imagenet-pretrained-r50_8xb16-1x1x8-50e_kinetics400-rgb"
SWIN = "swin-tiny-p244-w877_in1k-pre_8xb8-amp-32x2x1-30e_kinetics400-rgb"
MVIT = "mvit-small-p244_32xb16-16x4x1-200e_kinetics400-rgb"
TIN = "tin_kinetics400-pretrained-tsm-r50_1x1x8-50e_kinetics400-rgb"
C3D = "c3d_sports1m-pretrained_8xb30-16x1x1-45e_ucf101-rgb"
CSN = "ircsn_ig65m-pretrained-r50-bnfrozen_8xb12-32x2x1-58e_kinetics400-rgb"


def a_job(config: str = SLOWFAST, *, pretrained: str = "none", classes: int = 7, **spec: Any) -> api.TrainJob:
    """A job of this config; other fields of the spec by keyword."""
    return api.parse(
        {
            "apiVersion": "mmaction.dev/v1alpha1",
            "kind": "TrainJob",
            "metadata": {"name": "job"},
            "spec": {
                "model": {"config": config, "pretrained": pretrained},
                "dataset": {"uri": "/data", "format": "folders", "numClasses": classes},
                "resources": {"gpusPerNode": 4},
                "storage": {"uri": "/results"},
                "pods": {"image": "trainer-with-all-of-mmcv"},
                **spec,
            },
        }
    )


def rendered(config: str = SLOWFAST, **options: Any) -> Rendered:
    """That job, rendered; once where only its config is named, as whole-zoo tests ask for it again and again."""
    return render(a_job(config, **options)) if options else _plain(config)


@functools.cache
def _plain(config: str) -> Rendered:
    return render(a_job(config))
