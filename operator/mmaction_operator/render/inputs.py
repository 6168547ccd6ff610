"""``spec.input``: frames, their distance, and sizes in pixels, in every pipeline and in the model itself.

A smaller input is what makes training on a CPU bearable, so every model is adapted to it where it can be. What a
model cannot take is refused by name, here, and not by a shape error in the first iteration.
"""

from __future__ import annotations

from mmaction_trainer.contract.errors import ConfigFailure

from ..api.spec import InputSpec
from . import cropping, sampling
from .draft import STAGES, Draft
from .families import Part, parts
from .sampling import Sampler


def apply(draft: Draft, wanted: InputSpec, *, loads_weights: bool) -> Draft:
    """The draft with another input; untouched where the job names none.

    Raises:
        ConfigFailure: names the field whose value this model or its pipelines cannot take.
    """
    recipe = sampling.sampler(draft.get("train_pipeline"))
    recipe_crop = _crop(draft)
    frames, crop = wanted.frames or recipe.frames, wanted.crop_size or recipe_crop
    if wanted.frame_interval is not None:
        draft = _interval(draft, wanted.frame_interval, recipe)
    if frames != recipe.frames:
        _accept_in_range(frames, recipe)
        draft = draft.pipelines(lambda pipeline: sampling.with_frames(pipeline, frames, recipe))
    if crop != recipe_crop or wanted.short_side is not None:
        draft = draft.pipelines(lambda pipeline: cropping.resized(pipeline, recipe_crop, crop, wanted.short_side))
        _accept_short_side(draft, crop)
    return _model(draft, (recipe.frames, recipe_crop), (frames, crop), loads_weights=loads_weights)


def _crop(draft: Draft) -> int:
    sizes = cropping.frame(draft.get("train_pipeline"))
    assert sizes is not None, "every recipe crops"
    return sizes.crop_size


def _accept_in_range(frames: int, recipe: Sampler) -> None:
    """A dense sampler spreads its segments over a range of the video's frames."""
    most = sampling.DENSE_RANGE
    if recipe.name == "DenseSampleFrames" and recipe.frames_are == "num_clips" and frames > most:
        raise ConfigFailure(
            "spec.input.frames", f"found {frames}", accepted=f"1 to {most}: this config samples them from {most}"
        )


def _accept_short_side(draft: Draft, crop: int) -> None:
    """No stage may crop more than there is."""
    for stage in STAGES:
        sizes = cropping.frame(draft.get(f"{stage}_pipeline"))
        if sizes and sizes.short_side and sizes.short_side < sizes.crop_size:
            raise ConfigFailure(
                "spec.input.shortSide", f"found {sizes.short_side}", accepted=f"the crop, {crop}, or more"
            )


def _interval(draft: Draft, interval: int, recipe: Sampler) -> Draft:
    if recipe.name == "UniformSample" or recipe.clip_len == 1:
        raise ConfigFailure(
            "spec.input.frameInterval",
            f"found {interval}, and this config spreads its frames over the whole video",
            do="Leave it out.",
        )
    return draft.pipelines(lambda pipeline: sampling.with_interval(pipeline, interval))


def _model(draft: Draft, recipe: tuple[int, int], wanted: tuple[int, int], *, loads_weights: bool) -> Draft:
    """The model told of its (frames, crop), where they are not the recipe's."""
    if wanted == recipe:
        return draft
    for place, part in parts(draft.get("model")).items():
        _accept(draft, place, part, *wanted)
        before, after = (part.sizes(*size) if part.sizes else {} for size in (recipe, wanted))
        changes = {key: value for key, value in after.items() if before[key] != value}
        for key, value in changes.items():
            draft = draft.put(f"model.{place}.{key}", value)
        unfit = dict.fromkeys(words for key, words in part.sized_weights.items() if key in changes)
        if loads_weights and unfit and draft.trains:
            name = draft.get(f"model.{place}.type")
            draft = draft.warn(
                f"The checkpoint was trained on another input: {' and '.join(unfit)} of {name} do not fit, and start "
                "from random values."
            )
    return draft


def _accept(draft: Draft, place: str, part: Part, frames: int, crop: int) -> None:
    name = draft.get(f"model.{place}.type")
    if not part.min_frames <= frames <= part.max_frames:
        raise ConfigFailure(
            "spec.input.frames", f"found {frames}", accepted=f"{part.min_frames} to {part.max_frames} for {name}"
        )
    step = draft.get(f"model.{place}.{part.frames_of}") if part.frames_of else 1
    if frames % step:
        raise ConfigFailure(
            "spec.input.frames", f"found {frames}", accepted=f"multiples of {step}, {name}'s {part.frames_of}"
        )
    step = draft.get(f"model.{place}.{part.crop_of}") if part.crop_of else 1
    if crop % step:
        raise ConfigFailure(
            "spec.input.cropSize", f"found {crop}", accepted=f"multiples of {step}, {name}'s {part.crop_of}"
        )
    if part.only_crop not in (None, crop):
        raise ConfigFailure("spec.input.cropSize", f"found {crop}", accepted=f"{part.only_crop}: {name} has no other")
