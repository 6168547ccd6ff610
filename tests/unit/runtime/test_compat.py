"""Each entry of the compatibility module is needed, and does what it says."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from mmaction_trainer.runtime import compat


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_mmaction_models_import_with_it_and_not_without() -> None:
    assert "localizers.drn" in python("import mmaction.models").stderr
    compat.apply()
    import mmaction.models  # noqa: F401


@pytest.fixture
def history() -> object:
    compat.apply()
    from mmengine.logging import HistoryBuffer

    return HistoryBuffer([1.0, 2.0], [1, 1])


def test_a_checkpoint_with_mmengines_history_loads_with_weights_only(tmp_path: Path, history: object) -> None:
    torch.save({"message_hub": {"loss": history}}, tmp_path / "epoch_1.pth")
    loaded = torch.load(tmp_path / "epoch_1.pth", weights_only=True)
    assert loaded["message_hub"]["loss"].mean() == 1.5


class Hostile:
    def __reduce__(self) -> tuple[object, ...]:
        return (getattr, (OrderedDict, "fromkeys"))  # a class that torch itself allows


class Sly:
    def __reduce__(self) -> tuple[object, ...]:
        from mmengine.logging import HistoryBuffer

        return (getattr, (HistoryBuffer, "__init__"))


@pytest.mark.parametrize("payload", [Hostile(), Sly()])
def test_getattr_in_a_checkpoint_reaches_nothing_but_statistics(tmp_path: Path, payload: object) -> None:
    compat.apply()
    torch.save({"payload": payload}, tmp_path / "hostile.pth")
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "hostile.pth", weights_only=True)


def test_tpn_scores_with_the_classifier_that_it_has_now() -> None:
    compat.apply()
    from mmaction.models.heads import TPNHead

    head = TPNHead(num_classes=3, in_channels=8).eval()
    features = torch.rand(1, 8, 2, 4, 4)
    with torch.no_grad():
        head(features, num_segs=None, fcn_test=True)
        head.train()
        head.fc_cls.weight.fill_(0)
        head.fc_cls.bias.copy_(torch.tensor([1.0, 2.0, 3.0]))
        head.eval()
        scores = head(features, num_segs=None, fcn_test=True)
    assert scores.flatten(1).unique().tolist() == [1.0, 2.0, 3.0]
    assert not [name for name in head.train().state_dict() if "new_cls" in name]
