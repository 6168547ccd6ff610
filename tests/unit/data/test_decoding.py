"""Videos that decode and videos that do not, made from real ones."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from mmaction_trainer.contract.errors import ConfigFailure, DataFailure
from mmaction_trainer.data import check_decodes
from mmaction_trainer.data.decoding import spread

CLIPS = Path(__file__).parents[2] / "data" / "clips"


@pytest.mark.parametrize("clip", sorted(CLIPS.iterdir()), ids=lambda path: path.name)
def test_a_real_video_passes(clip: Path) -> None:
    check_decodes([clip])


def half(video: bytes) -> bytes:
    return video[: len(video) // 2]


def without_middle(video: bytes) -> bytes:
    third = len(video) // 3
    return video[:third] + bytes(third) + video[2 * third :]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(half, id="cut in half"),
        pytest.param(without_middle, id="a hole in its frames"),
        pytest.param(lambda video: b"<html>not found</html>", id="a web page"),
        pytest.param(lambda video: b"", id="nothing"),
    ],
)
def test_a_broken_video_is_named(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(damage((CLIPS / "part_0.mp4").read_bytes()))
    with pytest.raises(DataFailure) as refused:
        check_decodes([CLIPS / "part_0.mp4", broken])
    assert refused.value.where == str(broken)
    assert "does not decode" in refused.value.found


def test_a_video_without_frames_is_named(tmp_path: Path) -> None:
    """An mp4 that is all header: ftyp, and a moov without tracks."""
    empty = tmp_path / "empty.mp4"
    empty.write_bytes(bytes.fromhex("0000001466747970 69736f6d 00000200 69736f6d 00000008 6d6f6f76"))
    with pytest.raises(DataFailure, match=r"empty\.mp4"):
        check_decodes([empty])


def test_a_size_that_decord_cannot_hand_over_is_found(tmp_path: Path) -> None:
    """decord 0.6.0 takes rows of 48 pixels for rows of 64: single frames are wrong, and a batch of them fails."""
    narrow = tmp_path / "narrow.mkv"
    with av.open(str(narrow), "w") as file:
        stream = file.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 48, 400, "yuv420p"
        file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((400, 48, 3), np.uint8), format="rgb24")))
        file.mux(stream.encode())
    with pytest.raises(DataFailure, match=r"narrow\.mkv: does not decode"):
        check_decodes([narrow])


def test_every_broken_video_among_those_decoded_is_named(tmp_path: Path) -> None:
    broken = [tmp_path / "one.mp4", tmp_path / "two.mp4"]
    for path in broken:
        path.write_bytes(b"broken")
    with pytest.raises(DataFailure) as refused:
        check_decodes(broken)
    assert all(str(path) in str(refused.value) for path in broken)


def test_only_a_sample_is_decoded(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"broken")
    good = CLIPS / "part_0.mp4"
    check_decodes([good, broken, good, good, good], sample=3)
    with pytest.raises(DataFailure):
        check_decodes([good, broken, good, good, good], sample=5)


@pytest.mark.parametrize(
    ("count", "chosen"),
    [(1, [0]), (2, [0, 9]), (3, [0, 4, 9]), (4, [0, 3, 6, 9]), (10, list(range(10))), (99, list(range(10)))],
)
def test_a_sample_is_spread_over_the_whole_list(count: int, chosen: list[int]) -> None:
    assert list(spread(range(10), count)) == chosen


def test_without_decord_it_is_the_installation_that_is_at_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "decord", None)
    with pytest.raises(ConfigFailure, match="trainer"):
        check_decodes([CLIPS / "part_0.mp4"])
