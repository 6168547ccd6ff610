"""An annotated video has the frames of the video, and labels that can be read on any of them."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.errors import StorageFailure
from mmaction_trainer.evaluate import Predictions
from mmaction_trainer.report import demo
from mmaction_trainer.report.annotated import annotate
from mmaction_trainer.report.panel import panel

CLIPS = sorted((Path(__file__).parents[2] / "data" / "clips").iterdir())
LABELS = [("ApplyEyeMakeup", 0.9), ("a name that no frame is wide enough for " * 5, 0.06), ("Billiards", 0.04)]
BLACK, WHITE = 0, 255


def decoded(path: Path) -> tuple[list[npt.NDArray[np.uint8]], float, str]:
    """Frames, frames a second and codec of a video, as FFmpeg has them."""
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        assert stream.average_rate
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(stream)]
        return frames, float(stream.average_rate), stream.codec_context.name


def a_video(path: Path, frames: int, width: int, height: int) -> Path:
    """A grey video; its codec takes any size."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = width, height, "bgr0"
        for _ in range(frames):
            pixels = np.full((height, width, 3), 128, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        file.mux(stream.encode())
    return path


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.name)
def test_it_has_the_frames_size_and_rate_of_the_video(clip: Path, tmp_path: Path) -> None:
    annotate(clip, tmp_path / "out.mp4", LABELS)
    theirs, their_rate, _ = decoded(clip)
    found, rate, codec = decoded(tmp_path / "out.mp4")
    assert codec == "h264"
    assert len(found) == len(theirs)
    assert found[0].shape == theirs[0].shape
    assert rate == pytest.approx(their_rate, rel=1e-3)
    half = len(found[0]) // 2
    above = np.abs(found[3][:half].astype(int) - theirs[3][:half]).mean()
    below = np.abs(found[3][half:].astype(int) - theirs[3][half:]).mean()
    assert above < 6 < below, "the same frame, with labels in its lower half"


@pytest.mark.parametrize(("width", "height"), [(32, 32), (33, 31), (64, 400), (400, 18)])
def test_any_size_can_be_annotated_and_odd_sides_grow_by_a_pixel(width: int, height: int, tmp_path: Path) -> None:
    annotate(a_video(tmp_path / "in.mkv", 3, width, height), tmp_path / "out.mp4", LABELS)
    frames, _, _ = decoded(tmp_path / "out.mp4")
    assert [frame.shape for frame in frames] == [(height + height % 2, width + width % 2, 3)] * 3


def test_a_large_or_long_video_is_cut_down_where_that_is_asked_for(tmp_path: Path) -> None:
    annotate(a_video(tmp_path / "in.mkv", 30, 300, 200), tmp_path / "out.mp4", LABELS, widest=150, seconds=1.5)
    frames, rate, _ = decoded(tmp_path / "out.mp4")
    assert (len(frames), frames[0].shape, rate) == (15, (100, 150, 3), 10)


def test_nothing_is_left_of_a_video_that_could_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").mkdir()
    with pytest.raises(StorageFailure, match=r"out\.mp4"):
        annotate(CLIPS[0], tmp_path / "out.mp4", LABELS)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize(("width", "height"), [(32, 32), (96, 480), (340, 256), (1920, 1080)])
@pytest.mark.parametrize("shade", [BLACK, WHITE])
def test_letters_are_white_on_what_is_dark_whatever_the_frame(shade: int, width: int, height: int) -> None:
    drawn = panel(LABELS, width, height)
    frame = drawn.over(np.full((height, width, 3), shade, np.uint8))
    rows, columns, _ = drawn.colour.shape
    covered = luminance(frame[-rows:, :columns])
    letters, ground = np.quantile(covered, 0.995), np.quantile(covered, 0.6)
    assert (letters + 0.05) / (ground + 0.05) > 4.5, "the contrast that WCAG asks for"
    assert (frame[:-rows] == shade).all()


def luminance(frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Relative luminance of each pixel, by WCAG's definition."""
    share = frame / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ np.array([0.2126, 0.7152, 0.0722]))


def test_a_long_name_ends_before_its_score() -> None:
    long, alone = (panel([(name, 0.0)], 340, 256).colour[:, 3:] for name in (LABELS[1][0], ""))
    score = np.flatnonzero((alone > 100).any(axis=(0, 2)))
    name = np.flatnonzero(((long > 100) & (alone <= 100)).any(axis=(0, 2)))
    assert len(name) > 100
    assert name.max() + 5 < score.min()


def test_a_bar_is_as_long_as_its_score() -> None:
    across = [(panel([("", score)], 340, 256).colour[0, :, 2] > 100).sum() for score in (0.25, 0.5, 1.0)]
    assert across[2] == pytest.approx(2 * across[1], abs=2) == pytest.approx(4 * across[0], abs=4)


def predictions(folder: Path, taken_for: list[int]) -> Predictions:
    """Predictions of clips that are all of class 0, and the clips in their place."""
    (folder / layout.VIDEOS).mkdir(parents=True)
    for clip in CLIPS[: len(taken_for)]:
        (folder / layout.VIDEOS / clip.name).symlink_to(clip)
    scores = np.eye(2, dtype=np.float32)[taken_for]
    names = tuple(clip.name for clip in CLIPS[: len(taken_for)])
    return Predictions(scores, np.zeros(len(taken_for), np.int64), names, ("right", "wrong"))


@pytest.mark.parametrize(("taken_for", "shown"), [([0, 0, 0], 0), ([1, 1, 0], 2), ([1, 1, 1], 0)])
def test_the_demo_is_the_first_video_that_is_recognised_or_the_first(
    taken_for: list[int], shown: int, tmp_path: Path
) -> None:
    found = predictions(tmp_path, taken_for)
    assert demo.shown(found) == shown
    demo.draw(tmp_path, found)
    frames, rate, _ = decoded(tmp_path / "demo.mp4")
    theirs, _, _ = decoded(CLIPS[shown])
    assert frames[0].shape == theirs[0].shape
    assert len(frames) == min(len(theirs), round(10 * rate))
