"""A rank that cannot begin says so in the product's terms."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mmaction_trainer.contract.errors import ConfigFailure
from mmaction_trainer.runtime import worker


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("dict(type='NoSuchRecognizer')", "NoSuchRecognizer"),
        ("dict(type='Recognizer3D', backbone=dict(type='SwinTransformer3D', arch=dict(depths=[1])))", "arch"),
        ("dict(type='Recognizer3D', backbone=dict(type='ResNet3d', depth=7))", "7"),
    ],
    ids=["no such type", "a part is missing", "no such depth"],
)
def test_a_config_that_makes_no_model_is_a_matter_of_the_config(
    model: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.py").write_text(f"default_scope = 'mmaction'\nwork_dir = 'work'\nmodel = {model}\n")
    with pytest.raises(ConfigFailure, match=said) as caught:
        worker.build()
    assert "spec.overrides" in str(caught.value)


@pytest.mark.parametrize(
    ("weights", "published", "refused"),
    [
        ({}, False, False),
        ({"deeper.weight": torch.zeros(1)}, False, True),
        ({"deeper.weight": torch.zeros(1)}, True, False),
        ({"weight": torch.zeros(4, 2)}, True, True),
    ],
    ids=["whole", "one left over", "one left over of the zoo's own", "one of another shape"],
)
def test_weights_that_are_not_the_models_are_refused_before_they_are_tested(
    weights: dict[str, torch.Tensor], published: bool, refused: bool, tmp_path: Path
) -> None:
    model, path = nn.Linear(2, 3), tmp_path / "x.pth"
    torch.save({"state_dict": model.state_dict() | weights}, path)
    runner = SimpleNamespace(model=model, cfg=SimpleNamespace(load_from=str(path)))
    if not refused:
        assert worker.whole(runner, published=published) == str(path)
        return
    with pytest.raises(ConfigFailure, match=r"x\.pth is of another model"):
        worker.whole(runner, published=published)
