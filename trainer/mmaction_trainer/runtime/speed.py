"""How fast a model is on the device at hand, in a few seconds, or in two passes where one takes longer than that."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from mmaction_trainer.contract.result import Speed

WARM_UP, SECONDS = 0.5, 2.0
"""For how long passes begin that are not counted, and then those that are; there is one of each at least."""
MOST_PASSES = 50
BATCH = 8
"""Views at once, of which throughput is measured; fewer where so many would take longer than ``SECONDS``."""

Precision = Literal["fp32", "fp16", "bf16"]


def speed_of(model: torch.nn.Module, view: torch.Tensor, samples: Sequence[Any], *, amp: bool) -> Speed:
    """Measure a model in evaluation mode.

    Args:
        view: normalised and on the model's device, (1, segments, C, [T,] H, W), segments being 1 for 3D models.
            A batch is several of it in the second dimension, as a video's views are in a test.
        samples: one, to hold the predictions.
        amp: compute under autocast, as MMEngine's loops do that say ``fp16``.
    """
    from mmengine.runner.amp import autocast

    def scoring(views: int) -> Callable[[], object]:
        inputs = view.repeat(1, views, *[1] * (view.ndim - 2))
        return lambda: model(inputs, samples, mode="predict")

    device = view.device
    with torch.no_grad(), autocast(enabled=amp):
        latency = median_seconds(scoring(1), device)
        batch = max(1, min(BATCH, int(SECONDS / latency)))
        seconds = median_seconds(scoring(batch), device) if batch > 1 else latency
        memory = peak_memory(model, lambda: scoring(batch)(), device)
    return Speed(
        device=name_of(device),
        precision=precision(device) if amp else "fp32",
        latency_ms=round(1000 * latency, 3),
        batch=batch,
        views_per_second=round(batch / seconds, 3),
        peak_memory_bytes=memory,
    )


def median_seconds(score: Callable[[], object], device: torch.device) -> float:
    """The median time of a pass, once the device is warm."""
    passes(score, device, WARM_UP)
    return statistics.median(passes(score, device, SECONDS))


def passes(score: Callable[[], object], device: torch.device, seconds: float) -> list[float]:
    """Seconds of each pass of those that begin within so many, one at least."""
    taken: list[float] = []
    while not taken or (sum(taken) < seconds and len(taken) < MOST_PASSES):
        began = time.perf_counter()
        score()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - began)
    return taken


def peak_memory(model: torch.nn.Module, score: Callable[[], object], device: torch.device) -> int | None:
    """Bytes of the model's tensors and of the most that a pass allocates; None where torch does not count them.

    What else lies on the device, such as the state of an optimizer, is not the model's and is taken off.
    """
    if device.type != "cuda":
        return None
    held = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    score()
    torch.cuda.synchronize(device)
    own = sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
    return int(torch.cuda.max_memory_allocated(device) - held + own)


def name_of(device: torch.device) -> str:
    """A GPU by its name; a CPU by that of its model and how many threads of it are used."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    threads = torch.get_num_threads()
    return f"{processor()}, {threads} {'thread' if threads == 1 else 'threads'}"


def processor() -> str:
    """What Linux says that this machine's processor is; ARM's has no such name, and is its architecture."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def precision(device: torch.device) -> Precision:
    """What autocast computes in on a device."""
    return "bf16" if torch.get_autocast_dtype(device.type) == torch.bfloat16 else "fp16"
