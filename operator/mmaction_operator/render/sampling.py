"""How a pipeline samples frames: clips of ``clip_len`` frames, or segments that a 2D model scores one by one.

MMAction2 has two ways to spend frames. A 3D model sees one clip of ``clip_len`` frames (``num_clips`` of them in a
test). A 2D model sees ``num_clips`` segments of one frame each. What a TrainJob calls frames is what the model is
trained on: ``num_clips`` where the recipe samples several segments, ``clip_len`` elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .tree import Config

SAMPLERS = ("SampleFrames", "DenseSampleFrames", "UniformSample")
DENSE_POSITIONS = 10
"""DenseSampleFrames' default of num_sample_positions: in tests it samples ``num_clips`` from each position."""
DENSE_RANGE = 64
"""DenseSampleFrames' default of sample_range, in frames of the video."""

FramesAre = Literal["clip_len", "num_clips"]


@dataclass(frozen=True)
class Sampler:
    """The transform of a pipeline that samples frames, and where it stands."""

    at: int
    config: Config

    @property
    def name(self) -> str:
        """Its type."""
        return str(self.config["type"])

    @property
    def clip_len(self) -> int:
        """Frames of a clip."""
        return int(self.config["clip_len"])

    @property
    def num_clips(self) -> int:
        """Clips, or segments, before dense or twice sampling multiplies them."""
        return int(self.config.get("num_clips", 1))

    @property
    def rounds(self) -> int:
        """How often a test samples ``num_clips``."""
        if not self.config.get("test_mode"):
            return 1
        if self.name == "DenseSampleFrames":
            return int(self.config.get("num_sample_positions", DENSE_POSITIONS))
        return 2 if self.config.get("twice_sample") else 1

    @property
    def frames_are(self) -> FramesAre:
        """Which key holds what the model is trained on; ask the training pipeline's sampler."""
        return "num_clips" if self.num_clips > 1 else "clip_len"


def sampler(pipeline: list[Config]) -> Sampler | None:
    """The sampler of a pipeline; None if it has none that is known."""
    for at, transform in enumerate(pipeline):
        if transform.get("type") in SAMPLERS:
            return Sampler(at, transform)
    return None


def with_sampler(pipeline: list[Config], **changes: int | bool) -> list[Config]:
    """The pipeline with keys of its sampler changed."""
    found = sampler(pipeline)
    assert found is not None
    return [*pipeline[: found.at], {**found.config, **changes}, *pipeline[found.at + 1 :]]


def with_frames(pipeline: list[Config], frames: int, recipe: int, frames_are: FramesAre) -> list[Config]:
    """The pipeline with another number of frames.

    A test that samples another number of segments than training does (TSN's 25) keeps it: that is its protocol.
    """
    found = sampler(pipeline)
    assert found is not None
    if frames_are == "num_clips":
        return with_sampler(pipeline, num_clips=frames) if found.num_clips == recipe else pipeline
    return _in_range(with_sampler(pipeline, clip_len=frames), found)


def with_interval(pipeline: list[Config], interval: int) -> list[Config]:
    """The pipeline with another distance between frames."""
    found = sampler(pipeline)
    assert found is not None
    return _in_range(with_sampler(pipeline, frame_interval=interval), found)


def _in_range(pipeline: list[Config], recipe: Sampler) -> list[Config]:
    """A dense sampler starts a clip where it ends within ``sample_range``; that range follows the clip's length."""
    if recipe.name != "DenseSampleFrames" or _span(recipe) != recipe.config.get("sample_range", DENSE_RANGE):
        return pipeline
    changed = sampler(pipeline)
    assert changed is not None
    return with_sampler(pipeline, sample_range=_span(changed))


def _span(found: Sampler) -> int:
    return found.clip_len * int(found.config.get("frame_interval", 1))
