"""Checkpoints that a thread writes."""

from __future__ import annotations

import errno
import resource
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from mmaction_trainer.runtime import saving
from mmaction_trainer.runtime.saving import Writer


class Gate:
    """Holds up what is written until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened, write = threading.Event(), saving.write

        def write_then(checkpoint: Any, path: Path) -> None:
            assert self.opened.wait(20)
            write(checkpoint, path)

        monkeypatch.setattr(saving, "write", write_then)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(monkeypatch)


def test_what_is_written_is_what_was_saved_though_the_training_goes_on(tmp_path: Path, gate: Gate) -> None:
    model = torch.nn.BatchNorm1d(3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    step(model, optimizer)
    state = {
        "state_dict": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "message_hub": {"runtime_info": {"iter": 1}},
        "buffers": [dict(model.named_buffers())],
    }
    writer, path = Writer(), tmp_path / "epoch_1.pth"
    writer.save(state, str(path))
    expected = repr(state)
    state["message_hub"]["runtime_info"]["iter"] = 2
    step(model, optimizer)
    gate.opened.set()
    writer.wait()
    held = torch.load(path)
    assert repr(held) == expected
    assert held["state_dict"]._metadata == model.state_dict()._metadata


def step(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    model(torch.rand(4, 3)).sum().backward()
    optimizer.step()


def test_nothing_is_told_before_it_is_written(tmp_path: Path, gate: Gate) -> None:
    writer, told = Writer(), []
    writer.save({"weight": torch.ones(1)}, str(tmp_path / "epoch_1.pth"))
    writer.then(lambda: told.append((tmp_path / "epoch_1.pth").exists()))
    assert told == []
    gate.opened.set()
    writer.wait()
    assert told == [True]


def test_host_memory_holds_one_checkpoint_at_a_time(tmp_path: Path, gate: Gate) -> None:
    writer = Writer()
    writer.save({"weight": torch.ones(1)}, str(tmp_path / "epoch_1.pth"))
    second = threading.Thread(target=writer.save, args=({"weight": torch.zeros(1)}, str(tmp_path / "epoch_2.pth")))
    second.start()
    second.join(0.2)
    assert second.is_alive()
    gate.opened.set()
    second.join(20)
    writer.wait()
    assert writer.waited >= 0.2
    assert {path.name for path in tmp_path.iterdir()} == {"epoch_1.pth", "epoch_2.pth"}


def test_a_write_that_fails_leaves_the_old_file_whole_and_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, path, told = Writer(), tmp_path / "best.pth", []
    writer.save({"weight": torch.ones(1)}, str(path))
    writer.wait()

    def write_some(checkpoint: Any, file: Any) -> None:
        file.write(b"some")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", write_some)
    writer.save({"weight": torch.zeros(1)}, str(path))
    writer.then(lambda: told.append("written"))
    with pytest.raises(OSError, match="No space left"):
        writer.wait()
    assert told == []
    assert torch.load(path) == {"weight": torch.ones(1)}
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_told_as_one_and_leaves_nothing(tmp_path: Path) -> None:
    """The kernel refuses what is beyond a limit, as it does on a full disk, wherever in the checkpoint that is."""
    state = {f"layer{n}": torch.rand(100, 300 + n) for n in range(20)}
    limits, before = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        for bytes_ in range(1 << 20, (1 << 20) + 120_000, 3989):
            resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, limits[1]))
            with pytest.raises(OSError, match="too large") as caught:
                saving.write(state, tmp_path / "epoch_1.pth")
            assert caught.value.errno == errno.EFBIG
            assert not list(tmp_path.iterdir())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
