"""Speed is measured in a few seconds on any device, and says on which and in what."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from mmaction_trainer.runtime.speed import BATCH, WARM_UP, speed_of


class Taking(torch.nn.Module):
    """A recognizer that takes so many seconds for each view, and notes how many it is given and in which type."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.head = torch.nn.Linear(4, 3)
        self.seconds = seconds
        self.views: list[int] = []
        self.types: set[torch.dtype] = set()

    def forward(self, inputs: torch.Tensor, data_samples: Sequence[Any], mode: str) -> torch.Tensor:
        assert mode == "predict"
        self.views.append(inputs.shape[1])
        time.sleep(self.seconds * inputs.shape[1])
        scores: torch.Tensor = self.head(inputs)
        self.types.add(scores.dtype)
        return scores


def measured(model: Taking, *, amp: bool = False) -> Any:
    return speed_of(model, torch.rand(1, 1, 4), [object()], amp=amp)


def test_latency_is_one_views_and_throughput_that_of_a_batch() -> None:
    model = Taking(0.02)
    speed = measured(model)
    assert speed.latency_ms == pytest.approx(20, rel=0.5)
    assert speed.batch == BATCH
    assert speed.views_per_second == pytest.approx(50, rel=0.5)
    assert set(model.views) == {1, BATCH}


def test_a_slow_device_passes_twice_and_no_batch_takes_long() -> None:
    model = Taking(WARM_UP + 0.6)
    began = time.monotonic()
    speed = measured(model)
    assert speed.batch == 1
    assert speed.views_per_second == pytest.approx(1000 / speed.latency_ms, rel=1e-2)
    assert len(model.views) <= 3
    assert time.monotonic() - began < 5


def test_a_cpu_is_named_with_its_threads_and_has_no_memory_of_its_own() -> None:
    speed = measured(Taking(0.0))
    assert f", {torch.get_num_threads()} thread" in speed.device
    assert not speed.device.startswith(",")
    assert speed.peak_memory_bytes is None


@pytest.mark.parametrize(
    ("amp", "precision", "dtype"), [(False, "fp32", torch.float32), (True, "bf16", torch.bfloat16)]
)
def test_it_computes_in_the_precision_that_it_states(amp: bool, precision: str, dtype: torch.dtype) -> None:
    model = Taking(0.0)
    assert measured(model, amp=amp).precision == precision
    assert model.types == {dtype}
