"""A checkpoint against a model, by names and shapes: as MMEngine would load it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.runner.checkpoint import _load_checkpoint_to_model
from torch import nn

from mmaction_trainer.contract.errors import ConfigFailure
from mmaction_trainer.runtime.loading import Comparison, compare, computed_by, read, refusal, shapes, stored

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
    assert (found.missing, found.fills, found.whole) == ((), True, False)


def test_a_counter_of_batch_norm_that_old_checkpoints_lack_is_not_missed() -> None:
    assert compare({**MODEL, "backbone.bn.num_batches_tracked": ()}, MODEL).whole


def test_what_a_model_works_out_by_itself_is_not_missed_but_has_to_fit() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(3)
            self.register_buffer("pos_embed", torch.zeros(1, 8))

    model = Model()
    whole = shapes(model.state_dict())
    assert computed_by(model) == {"pos_embed", "norm.num_batches_tracked"}
    without = {name: shape for name, shape in whole.items() if name != "pos_embed"}
    assert compare(whole, without, computed_by(model)).whole
    assert not compare(whole, without | {"pos_embed": (1, 4)}, computed_by(model)).whole
    without_statistics = {name: shape for name, shape in whole.items() if "running" not in name}
    assert compare(whole, without_statistics, computed_by(model)).missing == ("norm.running_mean", "norm.running_var")


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


def test_a_refusal_counts_what_differs_and_names_the_first_few() -> None:
    found = compare(MODEL, {"cls_head.fc_cls.weight": (400, 2048), **{f"neck.{number}": (1,) for number in range(9)}})
    said = str(refusal(found, "other.pth"))
    assert said.startswith("spec.model.pretrained: other.pth is of another model: 0 of its weights fit; 2 missing (")
    assert "9 unexpected (neck.0, neck.1, neck.2, ...)" in said
    assert "1 of another shape (cls_head.fc_cls.weight (400, 2048) where the model has (7, 2048))" in said


@pytest.mark.parametrize("zipped", [True, False])
def test_weights_are_read_from_files_of_torch_new_and_old(tmp_path: Path, zipped: bool) -> None:
    weights = nn.Linear(2, 3).state_dict()
    torch.save({"state_dict": weights}, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    assert shapes(read(tmp_path / "x.pth")) == {"weight": (3, 2), "bias": (3,)}


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04 cut off"])
def test_a_file_that_is_no_checkpoint_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(ConfigFailure, match=r"^spec\.model\.pretrained: x\.pth is no checkpoint that torch reads: "):
        read(tmp_path / "x.pth")


def test_a_file_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    torch.save(torch.zeros(3), tmp_path / "x.pth")
    with pytest.raises(ConfigFailure, match=r"x\.pth holds a Tensor"):
        read(tmp_path / "x.pth")
