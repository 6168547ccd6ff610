"""Exceptions of a rank, told in the product's terms."""

from __future__ import annotations

import errno

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from mmaction_trainer.contract.errors import DataFailure, Failure, IdentityFailure
from mmaction_trainer.runtime.failures import classify


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (IdentityFailure("rendezvous", "a stranger"), "Identity"),
        (OSError(errno.ENOSPC, "No space left on device", "epoch_1.pth"), "Disk"),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "epoch_1.pth"), "Disk"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "OutOfMemory"),
        (MemoryError(), "OutOfMemory"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:118] . DefaultCPUAllocator: not enough memory"), "OutOfMemory"),
        (RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer"), "Collective"),
        (torch.distributed.DistBackendError("NCCL error: unhandled system error"), "Collective"),
        (KeyError("nonsense"), "Unknown"),
    ],
)
def test_an_exception_has_its_class(error: Exception, name: str) -> None:
    assert classify(error).name == name


def test_a_full_disk_names_the_file() -> None:
    assert "epoch_1.pth" in str(classify(OSError(errno.ENOSPC, "No space left on device", "epoch_1.pth")))


class BrokenVideos(Dataset[int]):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> int:
        raise DataFailure("videos/a.avi", "does not decode: no stream", do="Replace it.")


def test_a_broken_video_keeps_its_name_on_the_way_out_of_a_data_loading_process() -> None:
    with pytest.raises(Exception, match="does not decode") as raised:
        next(iter(DataLoader(BrokenVideos(), num_workers=1)))
    failure = classify(raised.value)
    assert isinstance(failure, DataFailure)
    assert str(failure) == "videos/a.avi: does not decode: no stream. Replace it."


def test_an_unknown_exception_is_told_by_its_last_line() -> None:
    failure = classify(ValueError("first\nlast"))
    assert type(failure) is Failure
    assert str(failure).startswith("ValueError: last")
