"""Words of CUDA, NCCL, gloo and torch's loaders as they print them, and what each stands for."""

from __future__ import annotations

import pytest

from mmaction_trainer.contract.signs import sign_of

WATCHDOG = (
    "[rank1]:[E626 06:24:44.903881913 ProcessGroupNCCL.cpp:616] [Rank 1] Watchdog caught collective operation timeout: "
    "WorkNCCL(SeqNum=808, OpType=ALLREDUCE, NumelIn=9801523, NumelOut=9801523, Timeout(ms)=600000) ran for 600020 "
    "milliseconds before timing out.\n"
    "[rank1]:[E626 06:24:46.1 ProcessGroupNCCL.cpp:630] [Rank 1] Some NCCL operations have failed or timed out. Due to "
    "the asynchronous nature of CUDA kernels, subsequent GPU operations might run on corrupted/incomplete data.\n"
    "[rank1]:[E626 06:24:46.1 ProcessGroupNCCL.cpp:636] [Rank 1] To avoid data inconsistency, we are taking the entire "
    "process down.\n"
    "terminate called after throwing an instance of 'c10::DistBackendError'\n"
)
BROUGHT_DOWN = (
    "[rank0]:[E117 11:40:54.259889664 ProcessGroupNCCL.cpp:1595] [PG ID 0 PG GUID 0(default_pg) Rank 0] Process group "
    "watchdog thread terminated with exception: CUDA error: an illegal memory access was encountered\n"
    "CUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below might be "
    "incorrect.\n"
    "terminate called after throwing an instance of 'c10::DistBackendError'\n"
)
KILLED_LOADER = "RuntimeError: DataLoader worker (pid 4242) is killed by signal: Killed. "
BUS_ERROR = (
    "ERROR: Unexpected bus error encountered in worker. This might be caused by insufficient shared memory (shm).\n"
    "RuntimeError: DataLoader worker (pid 4242) is killed by signal: Bus error. It is possible that dataloader's "
    "workers are out of shared memory. Please try to raise your shared memory limit.\n"
)
GPU_MEMORY = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.11 GiB "
    "of which 1.02 GiB is free."
)

SIGNS = {
    "NCCL's watchdog": (WATCHDOG, "Collective", "ranks", "ran for 600020 milliseconds"),
    "NCCL's watchdog by its second line": (WATCHDOG.split("\n", 1)[1], "Collective", "ranks", "Some NCCL operations"),
    "NCCL's watchdog that a CUDA error ends": (BROUGHT_DOWN, "Unknown", "GPU", "an illegal memory access"),
    "gloo's wait": (
        "RuntimeError: [../third_party/gloo/gloo/transport/tcp/unbound_buffer.cc:81] Timed out waiting 1800000ms for "
        "recv operation to complete",
        "Collective",
        "ranks",
        "1800000ms",
    ),
    "gloo's pairs": (
        "RuntimeError: [/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:538] Application timeout caused pair "
        "closure",
        "Collective",
        "ranks",
        "pair closure",
    ),
    "a store that nobody writes to": (
        "torch.distributed.DistStoreError: wait timeout after 300000ms, keys: /default_pg/0//cpu//0/rank_1",
        "Collective",
        "ranks",
        "rank_1",
    ),
    "GPU memory": (GPU_MEMORY, "OutOfMemory", "GPU memory", "Tried to allocate 2.00 GiB"),
    "GPU memory, by a library": (
        "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "OutOfMemory",
        "GPU memory",
        "CUBLAS",
    ),
    "host memory": (
        "RuntimeError: [enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you "
        "tried to allocate 1099511627776 bytes. Error code 12 (Cannot allocate memory)",
        "OutOfMemory",
        "host memory",
        "1099511627776 bytes",
    ),
    "shared memory": (BUS_ERROR, "OutOfMemory", "/dev/shm", "bus error"),
    "shared memory, by the exception alone": (BUS_ERROR.split("\n", 1)[1], "OutOfMemory", "/dev/shm", "Bus error"),
    "a loader that was killed": (KILLED_LOADER, "OutOfMemory", "host memory", "killed by signal: Killed"),
    "a loader that crashed": (
        "RuntimeError: DataLoader worker (pid 4242) is killed by signal: Segmentation fault. ",
        "Unknown",
        "a process that loads data",
        "Segmentation fault",
    ),
    "a loader that is gone": (
        "RuntimeError: DataLoader worker (pid(s) 4242) exited unexpectedly",
        "Unknown",
        "a process that loads data",
        "exited unexpectedly",
    ),
    "an index out of range on a GPU": (
        "RuntimeError: CUDA error: device-side assert triggered",
        "Unknown",
        "GPU",
        "dataset.numClasses",
    ),
    "a GPU that is broken": (
        "RuntimeError: CUDA error: uncorrectable ECC error encountered",
        "Unknown",
        "GPU",
        "keep jobs off it",
    ),
}


@pytest.mark.parametrize(("text", "name", "where", "says"), SIGNS.values(), ids=SIGNS)
def test_words_stand_for_a_failure(text: str, name: str, where: str, says: str) -> None:
    failure = sign_of(f"something before\n{text}\nand after")
    assert failure
    assert (failure.name, failure.where) == (name, where)
    assert says in str(failure)
    assert failure.do


@pytest.mark.parametrize(
    "text",
    [
        "NCCL version 2.27.5+cuda13.0",
        "node-0:52:52 [0] NCCL INFO Bootstrap: Using eth0:10.0.0.1<0>",
        "UserWarning: barrier(): using the device under current context",
        "loss: 4.5117 memory: 21044",
    ],
)
def test_ordinary_lines_stand_for_none(text: str) -> None:
    assert sign_of(text) is None
