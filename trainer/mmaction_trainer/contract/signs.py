"""What the words of CUDA, NCCL, gloo and torch's loaders stand for, in an exception or in the last lines of a log.

A rank that raises tells by an exception; one that NCCL's watchdog aborts, or that crashes, by its log alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .errors import CollectiveFailure, Failure, MemoryFailure

LONGEST = 400
"""Characters of a line that a message has."""


@dataclass(frozen=True)
class Sign:
    """Words that stand for a failure.

    Attributes:
        words: as libraries print them.
        kind: of what class it is.
        where: what failed.
        do: what to do about it.
    """

    words: re.Pattern[str]
    kind: type[Failure]
    where: str
    do: str


SIGNS: Sequence[Sign] = (
    Sign(
        re.compile(r"killed by signal: Bus error|Unexpected bus error|insufficient shared memory"),
        MemoryFailure,
        "/dev/shm",
        "Shared memory ran out, by which loaders hand over clips: raise resources.memoryPerNode, which bounds it on a "
        "cluster (docker: --shm-size), or lower training.workers or training.batchSizePerGPU.",
    ),
    Sign(
        re.compile(r"DataLoader worker \(pid.*killed by signal: Killed"),
        MemoryFailure,
        "host memory",
        "A process that loads data was killed, as the kernel does when memory runs out: raise "
        "resources.memoryPerNode, or lower training.workers or training.batchSizePerGPU.",
    ),
    Sign(
        re.compile(r"DataLoader worker \(pid.*(killed by signal|exited unexpectedly)|Unexpected segmentation fault"),
        Failure,
        "a process that loads data",
        "It crashed, most often in a decoder: `trainjob preflight --full` decodes every video.",
    ),
    Sign(
        re.compile(r"CUDA out of memory|CUDA error: out of memory|CUBLAS_STATUS_ALLOC_FAILED|HIP out of memory"),
        MemoryFailure,
        "GPU memory",
        "Lower training.batchSizePerGPU, input.frames or input.cropSize, or take training.precision bf16.",
    ),
    Sign(
        re.compile(r"out of memory|can't allocate memory|DefaultCPUAllocator: not enough memory"),
        MemoryFailure,
        "host memory",
        "Raise resources.memoryPerNode, or lower training.workers or training.batchSizePerGPU.",
    ),
    Sign(
        re.compile(r"device-side assert triggered"),
        Failure,
        "GPU",
        "An index was out of range on the GPU, most often a label that is no class of the model: see "
        "dataset.numClasses and spec.overrides. On CPU (resources.gpusPerNode: 0) the same step says which.",
    ),
    Sign(
        re.compile(r"CUDA error: (an illegal|misaligned|unspecified launch|uncorrectable|unknown error|device)"),
        Failure,
        "GPU",
        "A kernel or the GPU itself is at fault. Where it is always the same node, look at it (`nvidia-smi -q`, Xid "
        "in its kernel's log) and keep jobs off it.",
    ),
    Sign(
        re.compile(
            r"Watchdog caught collective operation timeout|watchdog got stuck|Timed out waiting \d+ ?ms"
            r"|wait timeout after \d+ms|Application timeout caused pair closure"
        ),
        CollectiveFailure,
        "ranks",
        "A rank waited for others longer than it may, and they may have failed before: see the first failure in the "
        "log, and the network between the nodes.",
    ),
    Sign(
        re.compile(r"Some NCCL operations have failed or timed out"),
        CollectiveFailure,
        "ranks",
        "See which rank failed first, and why.",
    ),
)
"""The first that fits counts: a watchdog also tells of errors that are not the network's."""


def sign_of(text: str) -> Failure | None:
    """The failure that a text stands for, told by the line that has the words; None if it has none."""
    lines = text.splitlines()
    for sign in SIGNS:
        if line := next((line for line in lines if sign.words.search(line)), None):
            return sign.kind(sign.where, line.strip()[:LONGEST].removesuffix("."), do=sign.do)
    return None
