"""Frames by their numbers are decord's, whatever the file; or it is left to decord."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import decord
import numpy as np
import pytest

from mmaction_trainer.runtime import frames
from mmaction_trainer.runtime.frames import Frames, Unsuited
from mmaction_trainer.runtime.video import Video

CLIPS = sorted((Path(__file__).parents[2] / "data" / "clips").iterdir())
LENGTH = 90
Made = tuple[str, str, dict[str, str]]
"""A file's name, its encoder, and what that is told."""
SUITED: dict[str, Made] = {
    "H.264": ("a.mp4", "libx264", {}),
    "H.264, short groups": ("a.mp4", "libx264", {"g": "12"}),
    "H.264 without B frames": ("a.mp4", "libx264", {"bf": "0", "g": "30"}),
    "H.264, frames of every kind": (
        "a.mp4",
        "libx264",
        {"g": "40", "bf": "5", "x264-params": "b-adapt=0:b-pyramid=normal"},
    ),
    "H.264 with the colours of HD": ("a.mp4", "libx264", {"colorspace": "bt709", "color_primaries": "bt709"}),
    "H.264 in Matroska": ("a.mkv", "libx264", {"g": "30"}),
    "H.264 in FLV": ("a.flv", "libx264", {"g": "30"}),
    "HEVC": ("a.mkv", "libx265", {"x265-params": "log-level=none:keyint=40:open-gop=0"}),
    "MPEG-4": ("a.avi", "mpeg4", {"g": "25"}),
    "MPEG-4 with B frames": ("a.avi", "mpeg4", {"g": "300", "bf": "2"}),
}
UNSUITED: dict[str, Made] = {
    "H.264, open groups": ("a.mp4", "libx264", {"g": "20", "x264-params": "open-gop=1:bframes=4"}),
    "H.264, no key frames": ("a.mp4", "libx264", {"g": "30", "intra-refresh": "1"}),
    "HEVC, open groups": ("a.mp4", "libx265", {"x265-params": "log-level=none:keyint=20:open-gop=1"}),
    "H.264 in AVI": ("a.avi", "libx264", {"g": "30"}),
    "H.264 in a transport stream": ("a.ts", "libx264", {"g": "30"}),
    "MPEG-2": ("a.mpg", "mpeg2video", {"bf": "2"}),
    "MPEG-4, B frames in several groups": ("a.avi", "mpeg4", {"g": "20", "bf": "2"}),
}
Make = Callable[[Made], str]


@pytest.fixture(scope="module")
def pictures() -> list[Any]:
    """Frames that move, smaller than they were."""
    return [frame.asnumpy() for frame in decord.VideoReader(str(CLIPS[0]), width=160, height=96)][:LENGTH]


@pytest.fixture
def make(tmp_path: Path, pictures: list[Any]) -> Make:
    """Writes a video: its name, the encoder, and what that is told; returns its path."""

    def make(of: Made) -> str:
        name, encoder, options = of
        with av.open(str(tmp_path / name), "w") as target:
            stream = target.add_stream(encoder, rate=25, options=options)
            stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
            for pixels in pictures:
                target.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
            target.mux(stream.encode())
        return str(tmp_path / name)

    return make


def some(chance: np.random.Generator, length: int) -> list[int]:
    """Numbers of frames: those of a clip, or any."""
    if chance.random() < 0.5:
        first = int(chance.integers(0, max(1, length - 32)))
        return [number for number in range(first, first + 32, 2) if number < length]
    return sorted(set(chance.integers(0, length, int(chance.integers(1, 12))).tolist()))


def check(path: str, within: int = 0) -> None:
    """Frames of one file, asked for in several ways, are decord's within so much of a pixel's value."""
    theirs, ours, chance = decord.VideoReader(path), Frames(path), np.random.default_rng(8)
    assert len(ours) == len(theirs)
    assert ours.rate == pytest.approx(theirs.get_avg_fps())
    for _ in range(8):
        numbers = some(chance, len(ours))
        expected = decord.VideoReader(path, num_threads=1).get_batch(numbers).asnumpy().astype(int)
        assert np.abs(expected - np.stack(ours.read(numbers))).max() <= within, numbers


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.name)
def test_frames_of_real_clips_are_decords(clip: Path) -> None:
    check(str(clip))


@pytest.mark.parametrize("of", SUITED.values(), ids=SUITED)
def test_frames_are_decords(of: Made, make: Make) -> None:
    """Of MPEG-4, FFmpeg's newer inverse transform rounds otherwise than that of decord's."""
    check(make(of), within=2 if of[1] == "mpeg4" else 0)


@pytest.mark.parametrize("of", UNSUITED.values(), ids=UNSUITED)
def test_a_file_whose_frames_may_be_others_is_left_to_decord(of: Made, make: Make) -> None:
    path = make(of)
    with pytest.raises(Unsuited):
        Frames(path)
    video, theirs = Video(path), decord.VideoReader(path, num_threads=1)
    assert (len(video), video.get_avg_fps()) == (len(theirs), theirs.get_avg_fps())
    numbers = [3, 17, 40]
    assert np.array_equal(np.stack(video.read(numbers)), theirs.get_batch(numbers).asnumpy())


def test_a_file_that_is_too_large_to_be_held_is_left_to_decord(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "LARGEST", CLIPS[0].stat().st_size - 1)
    with pytest.raises(Unsuited, match="bytes"):
        Frames(str(CLIPS[0]))


class Counted:
    """A decoder that counts the frames it gives."""

    def __init__(self, decoder: Any) -> None:
        object.__setattr__(self, "decoder", decoder)
        object.__setattr__(self, "given", 0)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.decoder, name, value)

    def flush_buffers(self) -> None:
        self.decoder.flush_buffers()

    def decode(self, packet: Any) -> list[Any]:
        frames: list[Any] = self.decoder.decode(packet)
        object.__setattr__(self, "given", self.given + len(frames))
        return frames


def test_frames_that_nobody_reads_are_not_decoded(make: Make) -> None:
    """Of eight frames far apart, decord decodes all between; x264 makes most of those B frames that no other reads."""
    video = Frames(make(("a.mp4", "libx264", {"g": "300", "bf": "3", "x264-params": "b-adapt=0:b-pyramid=none"})))
    video.decoder = counted = Counted(video.decoder)  # type: ignore[assignment]
    video.read(list(range(5, LENGTH, 11)))
    assert LENGTH / 4 < counted.given < LENGTH / 2


def test_a_video_that_breaks_in_the_middle_is_decords_to_judge(make: Make) -> None:
    path = make(SUITED["H.264"])
    video = Video(path)
    assert video.frames
    video.frames.times = video.frames.times[:50]  # as if the others did not come
    assert len(video.read([3, 80])) == 2
    assert video.frames is None
