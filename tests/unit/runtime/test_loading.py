"""A checkpoint against a model, by names and shapes: as MMEngine would load it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.runner.checkpoint import _load_checkpoint_to_model
from torch import nn

from mmaction_trainer.runtime.loading import Comparison, compare, shapes, stored

MODEL = {"backbone.conv.weight": (64, 3, 7, 7), "cls_head.fc_cls.weight": (7, 2048), "cls_head.fc_cls.bias": (7,)}


def test_weights_of_one_name_and_shape_match() -> None:
    found = compare(MODEL, dict(reversed(MODEL.items())))
    assert found == Comparison(matched=tuple(MODEL), missing=(), unexpected=(), reshaped={})
    assert found.whole


def test_a_head_of_another_class_count_is_named_with_both_shapes() -> None:
    found = compare(MODEL, {**MODEL, "cls_head.fc_cls.weight": (400, 2048), "cls_head.fc_cls.bias": (400,)})
    assert found.matched == ("backbone.conv.weight",)
    assert found.reshaped == {
        "cls_head.fc_cls.weight": ((7, 2048), (400, 2048)),
        "cls_head.fc_cls.bias": ((7,), (400,)),
    }
    assert not found.whole


def test_what_either_has_alone_is_named() -> None:
    checkpoint = {"backbone.conv.weight": (64, 3, 7, 7), "backbone.layer1.weight": (64,)}
    found = compare(MODEL, checkpoint)
    assert found.missing == ("cls_head.fc_cls.weight", "cls_head.fc_cls.bias")
    assert found.unexpected == ("backbone.layer1.weight",)
    assert not found.whole


def test_a_deeper_network_of_the_same_names_is_not_whole_though_nothing_is_missing() -> None:
    found = compare(MODEL, {**MODEL, "backbone.layer3.22.weight": (256,)})
    assert (found.missing, found.whole) == ((), False)


def test_a_counter_of_batch_norm_that_old_checkpoints_lack_is_not_missed() -> None:
    assert compare({**MODEL, "backbone.bn.num_batches_tracked": ()}, MODEL).whole


def test_tpns_copy_of_its_classifier_is_nothing_unexpected() -> None:
    assert compare(MODEL, {**MODEL, "cls_head.new_cls.weight": (7, 2048, 1, 1, 1)}).whole


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_names_are_those_by_which_mmengine_loads(
    tmp_path: Path, nested: bool, prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    trained, model = (nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)) for _ in range(2))
    weights = {prefix + name: weight for name, weight in trained.state_dict().items()}
    torch.save({"state_dict": weights, "meta": {"epoch": 3}} if nested else weights, tmp_path / "x.pth")
    checkpoint = torch.load(tmp_path / "x.pth")
    found = compare(shapes(model.state_dict()), shapes(stored(checkpoint)))
    assert found.whole
    assert set(found.matched) == set(model.state_dict())
    _load_checkpoint_to_model(model, checkpoint)
    assert "do not match" not in capsys.readouterr().out
    assert model[0].weight.equal(trained[0].weight)


def test_what_mmengine_would_not_find_is_not_found_here_either() -> None:
    model = nn.Linear(2, 3)
    found = compare(shapes(model.state_dict()), shapes(stored({"model": model.state_dict(), "epoch": 3})))
    assert found.missing == ("weight", "bias")
