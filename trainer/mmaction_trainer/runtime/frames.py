"""Frames of a video by their numbers, for which nothing is decoded that nobody reads.

To give a frame, decord decodes all that lies between it and the key frame before it. Of the frames of a usual H.264 or
HEVC file two in five are read by no other frame. The decoder is told of each whether it is wanted, and passes over
those that are neither wanted nor read: the frames that come are the same, byte for byte.

That is shown for the files that ``Frames`` takes (tests/unit/runtime/test_frames.py); any other is ``Unsuited``, and
decord's to read. ``bench/loading.py`` measures what it saves.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.codec.context import ThreadType
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

TIMED = frozenset({"h264", "hevc"})
"""Codecs of which a file says when each frame is shown, in containers that do."""
CONTAINERS = frozenset({"mov", "mp4", "matroska", "flv"})
COUNTED = "mpeg4"
"""XviD's and DivX's codec. In AVI files two of its frames may lie in one packet, and none in the next, so that they
have no times of their own: they are counted from the first one on."""
MOST_COUNTED = 1000
"""Frames of a video whose frames are counted: of a longer one too much would be decoded."""
PIXELS = "yuv420p"
LARGEST = 256 << 20
"""Bytes of a file that is held in memory, by each process that loads data."""

Picture = npt.NDArray[np.uint8]


class Unsuited(Exception):
    """A video of which it is not known that its frames come as decord gives them."""


class Frames:
    """A video, opened.

    Args:
        path: its file, all of which is held in memory.

    Raises:
        Unsuited: see the module.
    """

    def __init__(self, path: str) -> None:
        if (size := Path(path).stat().st_size) > LARGEST:
            raise Unsuited(f"{size:,} bytes")
        try:
            with av.open(path) as container:
                streams = container.streams.video
                if len(streams) != 1:
                    raise Unsuited(f"{len(streams)} video streams")
                self.decoder = streams[0].codec_context
                if self.decoder.pix_fmt != PIXELS:
                    raise Unsuited(f"pixels of {self.decoder.pix_fmt}")
                self.counted = self.decoder.name == COUNTED
                timed = self.decoder.name in TIMED and CONTAINERS.intersection(container.format.name.split(","))
                if not self.counted and not timed:
                    raise Unsuited(f"{self.decoder.name} in {container.format.name}")
                self.packets = [packet for packet in container.demux(streams[0]) if packet.size]
                self.rate = float(streams[0].average_rate or 0)
        except av.FFmpegError as error:
            raise Unsuited(str(error)) from error
        self.decoder.thread_type, self.decoder.thread_count = ThreadType.NONE, 1
        self.converter = VideoReformatter()
        self.keys = [place for place, packet in enumerate(self.packets) if packet.is_keyframe]
        if self.keys[:1] != [0]:
            raise Unsuited("no key frame at its beginning")
        if self.counted:
            self._check_count()
        else:
            self._order()

    def __len__(self) -> int:
        """How many frames it has."""
        return len(self.packets)

    def read(self, numbers: Sequence[int]) -> list[Picture]:
        """Frames of these numbers, ascending and each once, as (height, width, 3) in RGB, in one piece of memory.

        Raises:
            Unsuited: one does not come.
        """
        pictures: list[Picture] = []
        left = set(range(len(numbers)))
        try:
            for place, frame in (self._counted if self.counted else self._timed)(numbers):
                if not pictures:
                    pictures.extend(np.empty((len(numbers), frame.height, frame.width, 3), np.uint8))
                self._write(frame, pictures[place])
                left.discard(place)
        except (av.FFmpegError, LookupError, ValueError) as error:
            raise Unsuited(f"a frame does not come: {error}") from error
        if left:
            raise Unsuited(f"frame {numbers[min(left)]} does not come")
        return pictures

    def _check_count(self) -> None:
        """See that frames may be counted. With several key frames and B frames, decord itself loses count."""
        if len(self.packets) > MOST_COUNTED:
            raise Unsuited(f"{len(self.packets)} frames to count")
        if len(self.keys) > 1 and self.decoder.has_b_frames:
            raise Unsuited("B frames between several key frames")

    def _order(self) -> None:
        """Put frames in the order of their times."""
        times = [packet.pts for packet in self.packets if packet.pts is not None and not packet.is_discard]
        if len(set(times)) < len(self.packets):
            raise Unsuited("frames without times of their own")
        self.times = sorted(times)
        self.places = {time: place for place, time in enumerate(times)}
        self.key_times = [times[place] for place in self.keys]
        earliest = list(accumulate(reversed(times), min))[::-1]
        if self.key_times != [earliest[place] for place in self.keys]:  # decord does not give these as they are shown
            raise Unsuited("frames that are shown before the key frame they follow")

    def _counted(self, numbers: Sequence[int]) -> Iterator[tuple[int, VideoFrame]]:
        """Frames that are found by counting, each with the place of its number."""
        self.decoder.flush_buffers()
        places = {number: place for place, number in enumerate(numbers)}
        frames = (frame for packet in (*self.packets, None) for frame in self.decoder.decode(packet))
        for number, frame in zip(range(numbers[-1] + 1), frames, strict=False):
            if number in places:
                yield places[number], frame

    def _spans(self, wanted: Iterable[int]) -> list[range]:
        """Places of packets to decode for frames of these times, ascending; each span begins with a key frame."""
        spans: list[range] = []
        for time in wanted:
            key, stop = self.keys[bisect_right(self.key_times, time) - 1], self.places[time] + 1
            if spans and key < spans[-1].stop:
                spans[-1] = range(spans[-1].start, max(spans[-1].stop, stop))
            else:
                spans.append(range(key, stop))
        return spans

    def _timed(self, numbers: Sequence[int]) -> Iterator[tuple[int, VideoFrame]]:
        """Frames that are found by their times, each with the place of its number."""
        places = {self.times[number]: place for place, number in enumerate(numbers)}
        for span in self._spans(places):
            self.decoder.flush_buffers()
            for packet in (*self.packets[span.start : span.stop], None):
                self.decoder.skip_frame = "NONREF" if packet and packet.pts not in places else "DEFAULT"
                for frame in self.decoder.decode(packet):
                    if frame.pts in places:
                        yield places[frame.pts], frame

    def _write(self, frame: VideoFrame, picture: Picture) -> None:
        """Write a frame in RGB. Its rows are padded.

        Raises:
            ValueError: it is of another size.
        """
        plane = self.converter.reformat(frame, format="rgb24", threads=1).planes[0]
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : 3 * frame.width]  # type: ignore[call-overload]
        picture.reshape(len(picture), -1)[:] = rows
