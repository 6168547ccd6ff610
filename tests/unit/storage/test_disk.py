"""Disks that are full, files that appear whole, and folders as people have them."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from mmaction_trainer.contract.errors import DiskFailure, StorageFailure
from mmaction_trainer.storage import Storage, Stored, open_storage
from mmaction_trainer.storage.failures import disk_failures

LIMITED = """
    import resource, sys
    from pathlib import Path
    from mmaction_trainer.contract.errors import Failure
    from mmaction_trainer.storage import fetch, open_storage
    storage, folder = open_storage({uri!r}), Path({folder!r})
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    try:
        {act}
    except Failure as failure:
        print(failure.where)
        sys.exit(failure.exit_code)
"""


def within_limit(storage: Storage, folder: Path, act: str) -> subprocess.CompletedProcess[str]:
    """``act`` in a process that may write files of 1 MiB at most: the disk full that needs no root."""
    program = textwrap.dedent(LIMITED).format(uri=storage.uri, folder=str(folder), act=act)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("size", [2_000_000, 40_000_000])
def test_a_full_disk_ends_a_download_as_a_disk_failure_and_leaves_nothing(
    storage: Storage, tmp_path: Path, size: int
) -> None:
    storage.write("v.mp4", bytes(size))
    ended = within_limit(storage, tmp_path / "in", 'storage.download("v.mp4", folder / "v.mp4")')
    assert (ended.returncode, ended.stdout) == (DiskFailure.exit_code, f"{tmp_path}/in/v.mp4\n"), ended.stderr
    assert list((tmp_path / "in").iterdir()) == []


def test_a_full_disk_below_a_folder_storage_keeps_the_old_object(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path / "storage"))
    storage.write("x", b"old")
    (tmp_path / "file").write_bytes(bytes(2_000_000))
    for act in ('storage.upload(folder / "file", "x")', 'storage.write("x", bytes(2_000_000))'):
        ended = within_limit(storage, tmp_path, act)
        assert (ended.returncode, ended.stdout) == (DiskFailure.exit_code, f"{tmp_path}/storage/x\n"), ended.stderr
    assert storage.read("x") == b"old"
    assert [path.name for path in (tmp_path / "storage").iterdir()] == ["x"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_every_kind_of_full_is_a_disk_failure(number: int) -> None:
    with pytest.raises(DiskFailure, match=r"/data/x: .+\. Free space"), disk_failures(Path("/data/x")):
        raise OSError(number, os.strerror(number))


def test_a_refusal_of_the_disk_says_so() -> None:
    with (
        pytest.raises(StorageFailure, match=r"/data/x: denied: permission denied\. Give"),
        disk_failures(Path("/data/x")),
    ):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def test_a_broken_connection_is_not_blamed_on_the_disk() -> None:
    with pytest.raises(ConnectionResetError), disk_failures(Path("/data/x")):
        raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))


def test_a_file_in_the_place_of_a_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    with pytest.raises(StorageFailure, match="file"):
        open_storage(str(tmp_path / "file")).write("x", b"1")


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    (tmp_path / "data" / "videos").mkdir(parents=True)
    (tmp_path / "data" / "videos" / "1.avi").write_bytes(b"1")
    (tmp_path / "data" / "more").symlink_to(tmp_path / "data" / "videos")
    (tmp_path / "data" / "videos" / "round").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "gone.avi").symlink_to(tmp_path / "nowhere")
    assert list(open_storage(str(tmp_path / "data")).list()) == [Stored("more/1.avi", 1), Stored("videos/1.avi", 1)]


def test_a_folder_needs_no_boto3() -> None:
    program = """
        import sys
        from mmaction_trainer.storage import open_storage
        open_storage("folder")
        assert "botocore" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)


def test_a_disk_that_keeps_something_else_fails_the_upload(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(os.urandom(3_000_000))

    def damage(count: int) -> None:
        (unfinished,) = (tmp_path / "storage").iterdir()
        with unfinished.open("r+b") as file:
            file.write(b"damaged")

    with pytest.raises(StorageFailure, match=r"holds 3000000 bytes, sha256 .* accepted: the 3000000 bytes"):
        open_storage(str(tmp_path / "storage")).upload(tmp_path / "file", "x", damage)


def test_a_file_that_shrinks_while_it_is_copied_out_is_not_taken(tmp_path: Path) -> None:
    source = tmp_path / "storage" / "x"
    source.parent.mkdir()
    source.write_bytes(os.urandom(3_000_000))
    with pytest.raises(StorageFailure, match="1048576 bytes; accepted: 3000000 bytes"):
        open_storage(str(tmp_path / "storage")).download(
            "x", tmp_path / "copy", lambda count: os.truncate(source, 1_000_000)
        )
    assert not (tmp_path / "copy").exists()
