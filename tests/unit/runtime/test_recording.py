"""What is known of a model's size and speed is written; what cannot be measured costs a warning and no more."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mmaction_trainer.contract.result import Complexity
from mmaction_trainer.runtime import complexity


class Small(torch.nn.Module):
    """A recognizer of one layer, whose test of a view, or whose features, may be broken."""

    def __init__(self, broken: str) -> None:
        super().__init__()
        self.layer, self.broken = torch.nn.Linear(4, 3), broken

    def data_preprocessor(self, batch: Any, training: bool) -> Any:
        return {"inputs": torch.stack(batch["inputs"]), "data_samples": batch["data_samples"]}

    def extract_feat(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.broken == "features":
            raise ValueError("no features")
        return self.layer(inputs)

    def forward(self, inputs: torch.Tensor, data_samples: Any, mode: str) -> torch.Tensor:
        if self.broken == "test":
            raise ValueError("no test")
        return self.layer(inputs)


def recorded(folder: Path, broken: str, monkeypatch: pytest.MonkeyPatch) -> Complexity | None:
    """What is left of a model that scores videos of thirty views."""
    (folder / "test").mkdir()
    monkeypatch.chdir(folder)
    video = {"inputs": torch.rand(30, 4), "data_samples": None}
    runner = SimpleNamespace(
        model=Small(broken),
        test_dataloader=SimpleNamespace(dataset=[video]),
        test_loop=SimpleNamespace(fp16=False),
    )
    complexity.record(runner, views=30)
    path = folder / "test" / "complexity.json"
    return Complexity.read(path) if path.exists() else None


def test_size_is_of_one_view_and_speed_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = recorded(tmp_path, "", monkeypatch)
    assert found
    assert (found.parameters, found.flops_per_view, found.views, found.flops_per_video) == (15, 12, 30, 360)
    assert found.speed


def test_a_model_whose_speed_cannot_be_measured_has_its_size_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = recorded(tmp_path, "test", monkeypatch)
    assert found
    assert (found.parameters, found.speed) == (15, None)
    assert "warning" in capsys.readouterr().out


def test_a_model_whose_operations_cannot_be_counted_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recorded(tmp_path, "features", monkeypatch) is None
    assert "warning" in capsys.readouterr().out
