"""The folder of lock files: who may use it, and what is refused in it."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mmaction_operator.ports import Holder, LeaseFolder, holders, lease_gpus
from mmaction_trainer.contract.errors import ConfigFailure, DiskFailure, Failure

MakeHolder = Callable[[str], Holder]
LOCK = "gpu-GPU-a.lock"


@pytest.fixture
def strict_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def _lease(folder: LeaseFolder, holder: MakeHolder) -> None:
    lease_gpus(folder, 1, ["GPU-a"], holder("x")).release()


def test_every_user_of_the_machine_comes_to_one_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = LeaseFolder.of_machine({})
    monkeypatch.setenv("TMPDIR", "/var/tmp")
    assert LeaseFolder.of_machine({"TMPDIR": "/var/tmp", "TRAINJOB_LEASES": ""}) == usual


def test_another_folder_can_be_named() -> None:
    assert LeaseFolder.of_machine({"TRAINJOB_LEASES": "/srv/leases"}) == LeaseFolder(Path("/srv/leases"))


@pytest.mark.usefixtures("strict_umask")
def test_folder_and_files_are_for_all_users_whatever_the_umask(folder: LeaseFolder, holder: MakeHolder) -> None:
    _lease(folder, holder)
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o1777
    assert stat.S_IMODE((folder.path / LOCK).stat().st_mode) == 0o666


def test_the_mode_of_a_folder_that_was_there_is_left_alone(folder: LeaseFolder, holder: MakeHolder) -> None:
    folder.path.mkdir(mode=0o700)
    _lease(folder, holder)
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700


def test_a_symlink_in_the_folder_is_refused_and_not_written_through(
    folder: LeaseFolder, holder: MakeHolder, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder.path.mkdir()
    (folder.path / LOCK).symlink_to(victim)
    with pytest.raises(ConfigFailure, match="symbolic link") as refusal:
        _lease(folder, holder)
    assert LOCK in str(refusal.value)
    assert victim.read_text() == "precious"


def test_a_dangling_symlink_is_refused_and_makes_no_file(
    folder: LeaseFolder, holder: MakeHolder, tmp_path: Path
) -> None:
    folder.path.mkdir()
    (folder.path / LOCK).symlink_to(tmp_path / "nothing")
    with pytest.raises(ConfigFailure, match="symbolic link"):
        _lease(folder, holder)
    assert not (tmp_path / "nothing").exists()


def test_a_hard_link_is_refused_and_not_written_through(
    folder: LeaseFolder, holder: MakeHolder, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder.path.mkdir()
    (folder.path / LOCK).hardlink_to(victim)
    with pytest.raises(ConfigFailure, match="not a plain file"):
        _lease(folder, holder)
    assert victim.read_text() == "precious"


def test_a_pipe_is_refused(folder: LeaseFolder, holder: MakeHolder) -> None:
    folder.path.mkdir()
    os.mkfifo(folder.path / LOCK)
    with pytest.raises(ConfigFailure, match="not a plain file"):
        _lease(folder, holder)


def test_a_symlink_instead_of_the_folder_is_refused(tmp_path: Path, holder: MakeHolder) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "leases").symlink_to(tmp_path / "real")
    with pytest.raises(ConfigFailure, match="TRAINJOB_LEASES") as refusal:
        _lease(LeaseFolder(tmp_path / "leases"), holder)
    assert str(tmp_path / "leases") in str(refusal.value)
    assert list((tmp_path / "real").iterdir()) == []


def test_a_file_instead_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "leases").write_text("")
    with pytest.raises(ConfigFailure, match="Not a directory"):
        holders(LeaseFolder(tmp_path / "leases"))


def test_a_gate_that_stays_shut_is_an_error_that_names_the_folder(folder: LeaseFolder) -> None:
    holders(folder)
    stopped = os.open(folder.path, os.O_RDONLY)
    fcntl.flock(stopped, fcntl.LOCK_EX)
    with pytest.raises(Failure, match="kept this folder locked") as refusal:
        holders(LeaseFolder(folder.path, patience=0.05))
    assert str(folder.path) in str(refusal.value)
    os.close(stopped)
    assert holders(folder) == []


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_cleaner_that_comes_between_open_and_lock_costs_no_lease(
    folder: LeaseFolder, holder: MakeHolder, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    flock = fcntl.flock
    cleaned: list[str] = []

    def clean_first(descriptor: int, operation: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        if not cleaned and is_folder == (what == "folder"):
            cleaned.append(what)
            folder.path.rmdir() if is_folder else (folder.path / LOCK).unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", clean_first)
    with lease_gpus(folder, 1, ["GPU-a"], holder("x")) as lease:
        assert cleaned == [what]
        assert os.path.samestat(os.fstat(lease.pass_fds[0]), (folder.path / LOCK).stat())
        assert [held.which for held in holders(folder)] == ["GPU-a"]


def test_a_full_disk_refuses_and_holds_nothing_back(
    folder: LeaseFolder, holder: MakeHolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(DiskFailure, match="no space left"):
            _lease(folder, holder)
    assert holders(folder) == []
    _lease(folder, holder)


def test_a_file_system_without_locks_is_refused(
    folder: LeaseFolder, holder: MakeHolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(ConfigFailure, match="No locks available"):
        _lease(folder, holder)
