"""Where a stop leaves a training that is between epochs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch.distributed as dist

from mmaction_trainer.contract.errors import Interrupted
from mmaction_trainer.contract.run import STOP, WORK
from mmaction_trainer.runtime.resuming import ResumeHook
from mmaction_trainer.runtime.stop import StopHook


class Saves(ResumeHook):
    """Notes what is to be saved."""

    def __init__(self) -> None:
        super().__init__()
        self.saved: list[str] = []

    def save_alone(self, runner: object, name: str, iteration: int) -> None:
        self.saved.append(name)


@pytest.mark.parametrize(
    ("left", "saved"),
    [
        pytest.param("epoch_5.pth", [], id="the epoch has left a checkpoint"),
        pytest.param("epoch_4.pth", ["stopped_in_epoch_5_iter_30.pth"], id="this epoch leaves none"),
    ],
)
def test_a_stop_in_a_validation_saves_what_the_epoch_did_not(
    left: str, saved: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(WORK).mkdir()
    Path(WORK, left).touch()
    Path(STOP).touch()
    hook = Saves()
    runner = SimpleNamespace(max_epochs=9, epoch=5, iter=30, hooks=[hook])
    with pytest.raises(Interrupted, match="stopped as asked after iteration 30"):
        StopHook(dist.HashStore()).after_val_iter(runner, 0)
    assert hook.saved == saved
