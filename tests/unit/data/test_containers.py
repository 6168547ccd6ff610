"""Whether a file is cut off, by its container's own word: of real videos, whole and in parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmaction_trainer.data.containers import missing_bytes
from tests.clips import CLIPS, a_clip

REAL = sorted(path.name for path in CLIPS.iterdir() if path.suffix in (".avi", ".mp4"))


@pytest.mark.parametrize("name", REAL)
def test_a_real_video_is_whole(name: str) -> None:
    assert missing_bytes(CLIPS / name) == 0


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_of_one_that_is_cut_off_the_missing_bytes_are_counted(name: str, share: float, tmp_path: Path) -> None:
    content = (CLIPS / name).read_bytes()
    kept = int(len(content) * share)
    (tmp_path / name).write_bytes(content[:kept])
    assert 0 < missing_bytes(tmp_path / name) <= len(content) - kept


@pytest.mark.parametrize("content", [b"", b"RIFF", b"<html>404</html>", b"\x1aE\xdf\xa3" + bytes(64), bytes(64)])
def test_nothing_is_said_of_what_states_no_length(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "video").write_bytes(content)
    assert missing_bytes(tmp_path / "video") == 0


def test_bytes_behind_the_end_are_no_fault(tmp_path: Path) -> None:
    (tmp_path / "video.mp4").write_bytes(a_clip("a") + b"behind the last box")
    assert missing_bytes(tmp_path / "video.mp4") == 0
