"""How a video is scored: the clips sampled from it and the crops of each, read from a pipeline or written into one.

A clip is what the model takes in at once. For a model that exchanges features between segments (TSM, TRN), all of
its segments are one clip; for TSN, which scores every frame by itself, each is one.
"""

from __future__ import annotations

from mmaction_trainer.contract.errors import ConfigFailure
from mmaction_trainer.contract.run import Protocol

from ..api.spec import EvaluationSpec
from . import cropping, families, sampling
from .cropping import Frame
from .draft import Draft
from .sampling import Sampler

CLIPS = "spec.evaluation.clips"


def read(draft: Draft, stage: str) -> Protocol:
    """The protocol that a stage's pipeline amounts to."""
    pipeline = draft.get(f"{stage}_pipeline")
    found, sizes = sampling.sampler(pipeline), cropping.frame(pipeline)
    return Protocol(
        clips=max(1, found.num_clips * found.rounds // _segments(draft)),
        crops=cropping.crops(pipeline),
        short_side=sizes.short_side if sizes else None,
        crop_size=sizes.crop_size if sizes else None,
    )


def apply(draft: Draft, wanted: EvaluationSpec) -> Draft:
    """The draft with another test protocol; validation keeps its own.

    Raises:
        ConfigFailure: this config's sampler cannot take that many clips.
    """
    if wanted.clips is not None:
        draft = _clips(draft, wanted.clips)
    if wanted.crops is not None and wanted.crops != cropping.crops(draft.get("test_pipeline")):
        sizes = _sizes(draft, wanted.crops)
        number = wanted.crops
        draft = draft.pipeline("test", lambda pipeline: cropping.with_crops(pipeline, number, sizes))
    return draft


def _clips(draft: Draft, clips: int) -> Draft:
    found = sampling.sampler(draft.get("test_pipeline"))
    changes = _sampler_for(found, clips, segments=_segments(draft))
    return draft.pipeline("test", lambda pipeline: sampling.with_sampler(pipeline, **changes))


def _sampler_for(found: Sampler, clips: int, *, segments: int) -> dict[str, int | bool]:
    """Keys that make a sampler take ``clips`` clips in a test."""
    if found.name == "DenseSampleFrames":
        each = found.num_clips // segments
        if clips % each:
            raise ConfigFailure(CLIPS, f"found {clips}", accepted=f"multiples of {each}, which it samples at once")
        return {"num_sample_positions": clips // each}
    if segments == 1:
        once = {"twice_sample": False} if found.config.get("twice_sample") else {}
        return {"num_clips": clips, **once}
    if found.name != "SampleFrames" or clips > 2:
        raise ConfigFailure(
            CLIPS,
            f"found {clips}, and this model's {segments} segments, spread over the whole video, are one clip",
            accepted="1, or 2 (the segments a second time, shifted)",
            do="A config with `dense` in its name takes any number.",
        )
    return {"twice_sample": clips == 2}


def _sizes(draft: Draft, crops: int) -> Frame:
    """Sizes for 1 or 10 crops are those of validation; three crops are as large as the short side, or it as they."""
    sizes = cropping.frame(draft.get("val_pipeline"))
    assert sizes is not None
    if crops != 3:
        return sizes
    one_crop = any(part.one_crop for part in families.parts(draft.get("model")).values())
    side = sizes.crop_size if one_crop else sizes.short_side or sizes.crop_size
    return Frame(side, side)


def _segments(draft: Draft) -> int:
    """Segments that make up one clip of this model."""
    found = sampling.sampler(draft.get("train_pipeline"))
    joined = any(part.segments for part in families.parts(draft.get("model")).values())
    return found.num_clips if joined else 1
