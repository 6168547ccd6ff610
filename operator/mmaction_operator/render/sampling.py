"""How a pipeline samples frames: clips of ``clip_len`` frames, or segments that a 2D model scores one by one.

MMAction2 has two ways to spend frames. A 3D model sees one clip of ``clip_len`` frames (``num_clips`` of them in a
test). A 2D model sees ``num_clips`` segments of one frame each. What a TrainJob calls frames is what the model is
trained on: ``num_clips`` where the recipe samples several segments, ``clip_len`` elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mmaction_trainer.contract.errors import ConfigFailure

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
        return self._whole("clip_len", 1)

    @property
    def num_clips(self) -> int:
        """Clips, or segments, before dense or twice sampling multiplies them."""
        return self._whole("num_clips", 1)

    @property
    def rounds(self) -> int:
        """How often a test samples ``num_clips``."""
        if not self.config.get("test_mode"):
            return 1
        if self.name == "DenseSampleFrames":
            return self._whole("num_sample_positions", DENSE_POSITIONS)
        return 2 if self.config.get("twice_sample") else 1

    @property
    def frames_are(self) -> FramesAre:
        """Which key holds what the model is trained on; ask the training pipeline's sampler."""
        return "num_clips" if self.num_clips > 1 else "clip_len"

    @property
    def frames(self) -> int:
        """What a TrainJob calls frames; ask the training pipeline's sampler."""
        return self.num_clips if self.frames_are == "num_clips" else self.clip_len

    @property
    def span(self) -> int:
        """Frames of the video from the first frame of a clip to the next clip's."""
        return self.clip_len * self._whole("frame_interval", 1)

    @property
    def text(self) -> str:
        """As papers write it: frames of a clip, interval and clips; ask the training pipeline's sampler."""
        if self.name == "UniformSample":
            return f"uniform {self.clip_len}"
        return f"{self.clip_len}x{self._whole('frame_interval', 1)}x{self.num_clips}"

    def _whole(self, key: str, default: int) -> int:
        value = self.config.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConfigFailure(
                "spec.overrides", f"gives {self.name}.{key} the value {value!r}", accepted="a whole number from 1"
            )
        return value


def sampler(pipeline: list[Config]) -> Sampler:
    """The sampler of a pipeline.

    Raises:
        ConfigFailure: it has none, which takes an override.
    """
    for at, transform in enumerate(pipeline):
        if transform.get("type") in SAMPLERS:
            return Sampler(at, transform)
    raise ConfigFailure("spec.overrides", "leaves a pipeline that samples no frames", accepted=", ".join(SAMPLERS))


def with_sampler(pipeline: list[Config], **changes: int | bool) -> list[Config]:
    """The pipeline with keys of its sampler changed."""
    found = sampler(pipeline)
    return [*pipeline[: found.at], {**found.config, **changes}, *pipeline[found.at + 1 :]]


def with_frames(pipeline: list[Config], frames: int, training: Sampler) -> list[Config]:
    """The pipeline with another number of frames than the recipe's training has.

    A test that samples another number of segments than training does (TSN's 25) keeps it: that is its protocol.
    """
    found = sampler(pipeline)
    if training.frames_are == "num_clips":
        return with_sampler(pipeline, num_clips=frames) if found.num_clips == training.num_clips else pipeline
    return _in_range(with_sampler(pipeline, clip_len=frames), found)


def with_interval(pipeline: list[Config], interval: int) -> list[Config]:
    """The pipeline with another distance between frames."""
    found = sampler(pipeline)
    return _in_range(with_sampler(pipeline, frame_interval=interval), found)


def _in_range(pipeline: list[Config], recipe: Sampler) -> list[Config]:
    """A dense sampler starts a clip where it ends within ``sample_range``; that range follows the clip's length."""
    if recipe.name != "DenseSampleFrames" or recipe.span != recipe.config.get("sample_range", DENSE_RANGE):
        return pipeline
    return with_sampler(pipeline, sample_range=sampler(pipeline).span)
