"""Which GPUs a run may use, asked of a nvidia-smi that is a program on PATH as the real one is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mmaction_operator.local.devices import visible_gpus

A = "GPU-aaaa1111-0000-4000-8000-000000000001"
B = "GPU-aaaa2222-0000-4000-8000-000000000002"
C = "GPU-cccc3333-0000-4000-8000-000000000003"
M1 = "MIG-1111aaaa-0000-5000-8000-000000000001"
M2 = "MIG-2222bbbb-0000-5000-8000-000000000002"

WHOLE = f"""\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: {A})
GPU 1: NVIDIA H100 80GB HBM3 (UUID: {B})
GPU 2: Tesla T4 (rev. 2) (UUID: {C})
"""

DIVIDED = f"""\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: {A})
GPU 1: NVIDIA A100-SXM4-40GB (UUID: {B})
  MIG 3g.20gb     Device  0: (UUID: {M1})
  MIG 3g.20gb     Device  1: (UUID: {M2})
"""

Machine = Callable[..., dict[str, str]]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """An environment whose PATH has a nvidia-smi that prints ``listing`` for -L and knows nothing else."""

    def make(listing: str | None, status: int = 0, **environ: str) -> dict[str, str]:
        if listing is not None:
            program = tmp_path / "nvidia-smi"
            program.write_text(f"#!/bin/sh\n[ \"$*\" = -L ] || exit 6\necho asked >> '{tmp_path}/asked'\n")
            with program.open("a") as script:
                script.write(f"/bin/cat <<'END'\n{listing}END\nexit {status}\n")
            program.chmod(0o755)
        return {"PATH": str(tmp_path), **environ}

    return make


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("0", [A]),
        ("2,0", [C, A]),
        (" 1 , 2 ", [B, C]),
        (f"{B},{A}", [B, A]),
        (f"0,{C}", [A, C]),
        ("GPU-aaaa2", [B]),
        ("GPU-cccc,GPU-aaaa1", [C, A]),
        (f"0,{A}", [A]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("0,-1,1", [A]),
        ("0,,1", [A]),
        ("0,3,1", [A]),
        ("GPU-aaaa,2", []),
        ("GPU-dddd", []),
        (M1, []),
    ],
)
def test_cuda_visible_devices_becomes_uuids_up_to_what_names_nothing(
    machine: Machine, wanted: str, expected: list[str]
) -> None:
    assert visible_gpus(machine(WHOLE, CUDA_VISIBLE_DEVICES=wanted)) == tuple(expected)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [(M2, [M2]), ("MIG-1111", [M1]), ("MIG-", []), ("0", [A]), ("1", [M1]), (B, [M1]), (f"{A},{M2}", [A, M2])],
)
def test_a_divided_gpu_stands_for_its_instances(machine: Machine, wanted: str, expected: list[str]) -> None:
    assert visible_gpus(machine(DIVIDED, CUDA_VISIBLE_DEVICES=wanted)) == tuple(expected)


def test_two_shells_that_name_one_gpu_differently_mean_one_key(machine: Machine) -> None:
    names = ["1", "GPU-aaaa2", B]
    assert {visible_gpus(machine(WHOLE, CUDA_VISIBLE_DEVICES=name)) for name in names} == {(B,)}


@pytest.mark.parametrize(("listing", "expected"), [(WHOLE, (A, B, C)), (DIVIDED, (A, M1, M2)), ("", ())])
def test_without_cuda_visible_devices_all_are_visible(
    machine: Machine, listing: str, expected: tuple[str, ...]
) -> None:
    assert visible_gpus(machine(listing)) == expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [("0,2", ["0", "2"]), ("02", ["2"]), (f"{A},1", [A, "1"]), ("MIG-GPU-b8a6/7/0", ["MIG-GPU-b8a6/7/0"]), ("x", [])],
)
def test_without_nvidia_smi_the_names_stand_for_themselves(machine: Machine, wanted: str, expected: list[str]) -> None:
    assert visible_gpus(machine(None, CUDA_VISIBLE_DEVICES=wanted)) == tuple(expected)


def test_a_machine_without_nvidia_smi_has_no_gpus(machine: Machine) -> None:
    assert visible_gpus(machine(None)) == ()


def test_a_machine_whose_driver_does_not_answer_has_no_gpus(machine: Machine) -> None:
    broken = machine("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", status=9)
    assert visible_gpus(broken) == ()


def test_a_gpu_that_fell_off_the_bus_does_not_hide_the_others(machine: Machine) -> None:
    listing = "Unable to determine the device handle for GPU0000:17:00.0: Unknown Error\n" + WHOLE.split("\n", 1)[1]
    assert visible_gpus(machine(listing, status=15)) == (B, C)
    assert visible_gpus(machine(listing, status=15, CUDA_VISIBLE_DEVICES="2")) == (C,)


def test_who_wants_no_gpu_wakes_none(machine: Machine, tmp_path: Path) -> None:
    visible_gpus(machine(WHOLE, CUDA_VISIBLE_DEVICES="-1"))
    assert not (tmp_path / "asked").exists()
