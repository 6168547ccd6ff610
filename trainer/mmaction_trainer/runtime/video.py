"""Decoding that reads a video once, from its beginning and no more than is wanted, and names one that is broken.

MMAction2's own asks decord for frames in the order of the clips. Clips of a test overlap, and their frames are
interleaved for some samplers: at each step back decord seeks to a key frame and decodes again from there. Here frames
are asked for in the order of the video, each once, and dealt out to the clips; and of most files frames that nobody
reads are not decoded (``frames``). They are the same, byte for byte. ``bench/decoding.py`` measures what it saves.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from mmaction.datasets.transforms import DecordDecode as StockDecode
from mmaction.datasets.transforms import DecordInit as StockInit
from mmaction.registry import TRANSFORMS

from mmaction_trainer.contract.errors import DataFailure
from mmaction_trainer.data.containers import missing_bytes

from .arriving import wait_for
from .frames import Frames, Picture, Unsuited


class Video:
    """An open video, as MMAction2's transforms use decord's reader of it.

    Args:
        path: its file.
        threads: of decord.
    """

    def __init__(self, path: str, threads: int = 1) -> None:
        self.path, self.threads = path, threads
        self.frames: Frames | None = None
        with suppress(Unsuited):
            self.frames = Frames(path)

    @cached_property
    def reader(self) -> Any:
        """decord's own."""
        import decord

        return decord.VideoReader(self.path, num_threads=self.threads)

    def __len__(self) -> int:
        return len(self.frames or self.reader)

    def __getattr__(self, name: str) -> Any:
        """What else a transform asks of decord's."""
        return getattr(self.reader, name)

    def get_avg_fps(self) -> float:
        """Frames a second, on average."""
        return self.frames.rate if self.frames else float(self.reader.get_avg_fps())

    def read(self, numbers: Sequence[int]) -> list[Picture]:
        """Frames of these numbers, ascending and each once, as (height, width, 3) in RGB."""
        if self.frames:
            try:
                return self.frames.read(numbers)
            except Unsuited:
                self.frames = None
        return list(self.reader.get_batch(numbers).asnumpy())


@TRANSFORMS.register_module(name="DecordInit", force=True)
class DecordInit(StockInit):  # type: ignore[misc]
    """MMAction2's transform of this name, with errors that name the file.

    It waits for a video that is still on its way, and opens the file itself, as the preflight does: MMAction2's reads
    all of it first, and decord has crashed where such bytes were cut off.
    """

    def _get_video_reader(self, filename: str) -> Any:
        if not Path(filename).stat().st_size:
            raise ValueError("it is empty: it has vanished from storage")
        if missing := missing_bytes(Path(filename)):
            raise ValueError(f"the file is cut off: {missing:,} bytes of it are missing")
        return Video(filename, self.num_threads)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Open ``results["filename"]``, once it is here.

        Raises:
            DataFailure: the file is missing or is not a video that decodes.
            Failure: something keeps it from coming.
        """
        wait_for(Path(results["filename"]))
        try:
            return super().transform(results)  # type: ignore[no-any-return]
        except Exception as error:
            raise broken(results, error) from error


@TRANSFORMS.register_module(name="DecordDecode", force=True)
class DecordDecode(StockDecode):  # type: ignore[misc]
    """MMAction2's transform of this name, each frame decoded once, with errors that name the file."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Decode the sampled frames.

        Raises:
            DataFailure: a frame does not decode.
        """
        try:
            return super().transform(results)  # type: ignore[no-any-return]
        except Exception as error:
            raise broken(results, error) from error

    def _decord_load_frames(self, container: Any, frame_inds: npt.NDArray[np.int64]) -> list[npt.NDArray[np.uint8]]:
        """Frames of these numbers in their order, each (height, width, 3); one in several places is read-only."""
        wanted, places, counts = np.unique(frame_inds, return_inverse=True, return_counts=True)
        exact = self.mode == "accurate"  # else key frames near these
        frames = container.read(wanted.tolist()) if exact else super()._decord_load_frames(container, wanted)
        for frame, count in zip(frames, counts, strict=True):
            frame.flags.writeable = frame.flags.writeable and count == 1
        return [frames[place] for place in places]


def broken(results: dict[str, Any], error: Exception) -> DataFailure:
    """The failure of one video."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
    return DataFailure(
        str(results["filename"]), f"does not decode: {reason}", do="Replace it or take it off the lists."
    )
