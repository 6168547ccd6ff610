"""A video with what it is taken for drawn on it, as H.264 in MP4, which browsers play. Sound is left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from mmaction_trainer.storage.disk import replacing

from .panel import Panel, Pixels, panel

QUALITY = {"preset": "veryfast", "crf": "21"}


def annotate(
    video: Path,
    out: Path,
    labels: Sequence[tuple[str, float]],
    *,
    widest: int | None = None,
    seconds: float | None = None,
) -> None:
    """Write a copy of a video with the labels on every frame.

    It has the frames, the size and the mean frame rate of what decord reads, and so of what the model saw; sides of odd
    length grow by a pixel, as the format wants even ones.

    Args:
        out: the file; it appears when it is whole.
        labels: names and scores from 0 to 1, the highest first.
        widest: a wider video is scaled down to so many pixels.
        seconds: how much of its beginning is written; None is all of it.

    Raises:
        StorageFailure: the file cannot be written.
    """
    frames = Frames(video, widest)
    count = len(frames) if seconds is None else min(len(frames), round(seconds * frames.rate))
    with replacing(out) as beside, av.open(str(beside), "w", format="mp4", options={"movflags": "faststart"}) as target:
        stream = target.add_stream("libx264", rate=frames.rate, options=QUALITY)
        stream.pix_fmt = "yuv420p"
        drawn: Panel | None = None
        for frame in frames.first(count):
            if drawn is None:
                stream.height, stream.width, _ = frame.shape
                drawn = panel(labels, stream.width, stream.height)
            target.mux(stream.encode(av.VideoFrame.from_ndarray(drawn.over(frame))))
        target.mux(stream.encode())


class Frames:
    """The frames of a video, as large as they are written."""

    def __init__(self, video: Path, widest: int | None) -> None:
        from decord import VideoReader

        self.reader = VideoReader(str(video), num_threads=1)
        height, width, _ = self.reader[0].shape
        if widest and width > widest:
            height, width = round(height * widest / width), widest
            self.reader = VideoReader(str(video), width=width, height=height, num_threads=1)
        self.reader.seek(0)

    def __len__(self) -> int:
        return len(self.reader)

    @property
    def rate(self) -> Fraction:
        """Frames a second, on average; 30000/1001 and its like exactly."""
        return Fraction(self.reader.get_avg_fps()).limit_denominator(1001)

    def first(self, count: int) -> Iterator[Pixels]:
        """So many frames from the beginning, (height, width, 3), RGB, of even height and width."""
        for _ in range(count):
            frame = self.reader.next().asnumpy()
            height, width, _ = frame.shape
            yield np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
