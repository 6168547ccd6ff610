"""A small data set that can be learned, cut from six real clips, in UCF101's layout.

A class is a source clip. Train and test segments come from different parts of it: the first two thirds and the rest.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import decord

SHORT_SIDE = 96
FRAMES = 16


def build(clips: Path, root: Path, *, train: int = 10, test: int = 5) -> int:
    """Write videos/<class>/ and annotations/ below ``root``, as UCF101 has them.

    Args:
        clips: folder of source videos.
        root: where the data set goes; left alone if it is there already.
        train: training segments of each class.
        test: test segments of each class.

    Returns:
        Number of classes.
    """
    sources = sorted(path for path in clips.iterdir() if path.suffix in (".mp4", ".avi"))
    names = [path.name.replace(".", "_") for path in sources]
    done = root / "annotations" / "testlist01.txt"
    if done.exists():
        return len(names)
    done.parent.mkdir(parents=True, exist_ok=True)
    lists: dict[str, list[str]] = {"train": [], "test": []}
    for label, (source, group) in enumerate(zip(sources, names, strict=True), 1):
        for part, number, frames in segments(source, train, test):
            name = f"{group}/v_{group}_{part}{number:02d}.avi"
            write_video(root / "videos" / name, frames)
            lists[part].append(f"{name} {label}" if part == "train" else name)
    lines = "".join(f"{label} {name}\n" for label, name in enumerate(names, 1))
    (done.parent / "classInd.txt").write_text(lines)
    (done.parent / "trainlist01.txt").write_text("\n".join(lists["train"]) + "\n")
    done.write_text("\n".join(lists["test"]) + "\n")
    return len(names)


def segments(source: Path, train: int, test: int) -> Iterator[tuple[str, int, Any]]:
    """Pairs of a part and the frames, T x H x W x 3 RGB uint8, of one segment of it."""
    reader = decord.VideoReader(str(source), num_threads=1)
    height, width = reader[0].shape[:2]
    scale = SHORT_SIDE / min(height, width)
    size = (round(width * scale) // 2 * 2, round(height * scale) // 2 * 2)
    cut = len(reader) * 2 // 3
    for part, first, last, count in (("train", 0, cut, train), ("test", cut, len(reader), test)):
        length = min(FRAMES, last - first)
        for number in range(count):
            start = first + (last - first - length) * number // max(count - 1, 1)
            frames = reader.get_batch(list(range(start, start + length))).asnumpy()
            yield part, number, [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames]


def write_video(path: Path, frames: Any) -> None:
    """Encode frames as MPEG-4 in an AVI file, as UCF101's are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"XVID"), 25, (width, height))
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("python -m examples.demo.clips CLIPS FOLDER     cut a data set from the videos in CLIPS into FOLDER")
    print(build(Path(sys.argv[1]), Path(sys.argv[2])), "classes")
