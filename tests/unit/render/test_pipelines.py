"""MMAction2 runs the rendered pipelines, and sees as many views of a video as the protocols say."""

from __future__ import annotations

from typing import Any

import pytest

from mmaction_operator.render import Rendered
from mmaction_operator.render.families import PARTS, PLACES
from mmaction_operator.render.sampling import sampler

from .jobs import rendered
from .test_whole_zoo import ONLY, TESTABLE, TRAINABLE
from .views import inputs


def seen(result: Rendered, stage: str) -> tuple[int, ...]:
    """Shape of what a stage's pipeline makes of a video."""
    return tuple(inputs(result, stage).shape)


@pytest.mark.parametrize("name", TRAINABLE)
def test_every_stage_runs_and_its_views_are_the_protocols(name: str) -> None:
    fixed = any(part.only_crop for part in map(PARTS.get, types(rendered(name).config["model"])) if part)
    result = rendered(name, input={} if fixed else {"cropSize": 32})
    crop = rendered(name).val_protocol.crop_size if fixed else 32
    train = seen(result, "train")
    assert train[-2:] == (crop, crop)
    for stage, protocol in (("val", result.val_protocol), ("test", result.test_protocol)):
        shape = seen(result, stage)
        assert shape[0] == protocol.clips * protocol.crops * rows_of_a_clip(result, train)
        assert shape[-2:] == (protocol.crop_size, protocol.crop_size)


@pytest.mark.parametrize("name", TESTABLE)
def test_a_test_alone_sees_the_views_of_its_protocol(name: str) -> None:
    result = rendered(name, **ONLY)
    protocol = result.test_protocol
    shape = seen(result, "test")
    assert shape[0] == protocol.clips * protocol.crops
    assert shape[-2:] == (protocol.crop_size, protocol.crop_size)


def rows_of_a_clip(result: Rendered, train: tuple[int, ...]) -> int:
    """First dimension of one clip: 1 where frames are a dimension of their own, else a clip's frames or segments."""
    joined = any(PARTS[name].segments for name in types(result.config["model"]))
    clips = 1 if joined else sampler(result.config["train_pipeline"]).num_clips
    return train[0] // clips


def types(model: dict[str, Any]) -> list[str]:
    return [model[place]["type"] for place in PLACES if model.get(place)]
