"""Leases between users of one machine, who share the folder and need not trust each other."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from mmaction_operator.ports import Holder, LeaseFolder, holders, lease_gpus
from mmaction_trainer.contract.errors import ConfigFailure, DeviceFailure

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")

MakeHolder = Callable[[str], Holder]
Start = Callable[..., tuple[BaseProcess, Connection]]
NOBODY = 65534
GPUS = ("GPU-a", "GPU-b")


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that another user can reach; pytest's own is closed to them."""
    with tempfile.TemporaryDirectory(dir="/tmp") as path:
        Path(path).chmod(0o1777)
        yield Path(path)


def _as_nobody(connection: Connection, work: Callable[[], object]) -> None:
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    try:
        connection.send(work())
    except Exception as error:
        connection.send(f"{type(error).__name__}: {error}")
    time.sleep(60)


@pytest.mark.parametrize("who_is_first", ["root", "nobody"])
def test_two_users_share_one_folder(shared: Path, holder: MakeHolder, start: Start, who_is_first: str) -> None:
    folder = LeaseFolder(shared / "leases")

    def lease_one() -> str:
        return lease_gpus(folder, 1, GPUS, holder("theirs")).devices[0]

    if who_is_first == "root":
        for key in GPUS:
            lease_gpus(folder, 1, [key], holder("earlier")).release()
    process, connection = start(_as_nobody, lease_one)
    assert connection.recv() == "GPU-a"
    assert (folder.path / "gpu-GPU-a.lock").stat().st_uid == (0 if who_is_first == "root" else NOBODY)
    with pytest.raises(DeviceFailure, match="GPU-a is held by team-a/theirs"):
        lease_gpus(folder, 2, GPUS, holder("ours"))
    process.kill()
    process.join()
    with lease_gpus(folder, 2, GPUS, holder("ours")):
        assert [held.holder for held in holders(folder)] == [holder("ours")] * 2


def test_a_folder_that_another_user_keeps_for_himself_is_refused(
    shared: Path, holder: MakeHolder, start: Start
) -> None:
    folder = LeaseFolder(shared / "leases")
    folder.path.mkdir(mode=0o755)
    _, connection = start(_as_nobody, lambda: lease_gpus(folder, 1, GPUS, holder("x")).devices)
    said = connection.recv()
    assert said.startswith(f"{ConfigFailure.__name__}: {folder.path}")
    assert "Permission denied" in said
    assert "mode 1777" in said
