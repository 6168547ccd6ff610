"""A TrainJob and a zoo entry become a config: the steps, in order."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from mmaction_trainer.contract.run import Protocol, Weights

from ..api import TrainJob
from ..zoo import ZooEntry
from . import (
    classes,
    families,
    inputs,
    learning_rate,
    loaders,
    overrides,
    pretrained,
    protocol,
    recipe,
    runtime_settings,
    sampling,
    schedule,
    trackers,
    transforms,
)
from .draft import STAGES, TEST_ALONE, Draft
from .loaders import Media
from .sampling import Sampler
from .source import source


@dataclass(frozen=True)
class Rendered:
    """A job's config, and what the rest of the product reads from it.

    Attributes:
        config: all of it; the caller's own copy.
        text: Python source of ``config``, the same bytes for the same job.
        sha256: of ``text``, in hex.
        effective_lr: the learning rate that training uses (at the end of a warm-up); None where nothing is trained.
        batch_size: videos in a batch of all processes together, of training or of the test alone.
        epochs: epochs of training; 0 for a test alone.
        val_protocol, test_protocol: how a video is scored; None for validation where nothing is trained.
        weights: the checkpoint to start from, or to test, which has to lie in ``pretrained/``; None for random weights.
        warnings: what the renderer decided that a user may not expect.
        num_classes: classes of the model.
        sees: what it sees of a video in training.
        media: what the data sets read.
    """

    config: dict[str, Any]
    text: str
    sha256: str
    effective_lr: float | None
    batch_size: int
    epochs: int
    val_protocol: Protocol | None
    test_protocol: Protocol
    weights: Weights | None
    warnings: tuple[str, ...]
    num_classes: int
    sees: Sampler
    media: Media


def render_entry(job: TrainJob, entry: ZooEntry) -> Rendered:
    """Render a job with a zoo entry. Pure: the same job and entry give the same bytes, and neither is changed.

    Raises:
        ConfigFailure: names the field of the TrainJob that cannot be rendered, why, and what is accepted.
    """
    spec = job.spec
    weights = pretrained.choose(spec.model.pretrained, entry)
    device = runtime_settings.device(spec.resources)

    draft = recipe.begin(entry, TEST_ALONE if spec.evaluation.only else STAGES)
    draft = classes.apply(draft, spec.dataset.classes)
    draft = inputs.apply(draft, spec.input, loads_weights=weights is not None)
    draft = protocol.apply(draft, spec.evaluation)
    draft = transforms.apply(draft)
    draft = pretrained.apply(draft, weights)
    draft = loaders.apply(draft, spec.training)
    draft = runtime_settings.apply(draft, spec.training, device)
    draft = _trained(draft, job, entry) if draft.trains else _tested(draft, job, entry)
    draft = trackers.apply(draft, spec.trackers)
    draft = families.see_to_needs(draft, image=spec.pods.image)

    draft = overrides.apply(draft, spec.overrides)
    draft = classes.settle(draft, spec.dataset.classes)
    draft = loaders.settle(draft)
    draft = runtime_settings.settle(draft, spec.training, device)
    draft = trackers.settle(draft, spec.trackers, job.metadata)
    return _rendered(job, draft, weights)


def _trained(draft: Draft, job: TrainJob, entry: ZooEntry) -> Draft:
    """What training takes."""
    training, resources = job.spec.training, job.spec.resources
    draft = schedule.apply(draft, training)
    draft = learning_rate.apply(draft, training, entry, world_size=resources.world_size)
    draft = learning_rate.with_precision(draft, training, device=runtime_settings.device(resources))
    return runtime_settings.with_checkpoints(draft, training)


def _tested(draft: Draft, job: TrainJob, entry: ZooEntry) -> Draft:
    """What a test alone takes."""
    if job.spec.model.pretrained == "zoo":
        pretrained.check_fit(draft, entry, job.spec.dataset.classes)
    return runtime_settings.without_checkpoints(draft)


def _rendered(job: TrainJob, draft: Draft, weights: Weights | None) -> Rendered:
    spec, metadata, config = job.spec, job.metadata, draft.finished()
    text = source(config, job=f"{metadata.namespace}/{metadata.name}", recipe=spec.model.config)
    return Rendered(
        config=_copied(config),
        text=text,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        effective_lr=learning_rate.effective(draft, spec.training) if draft.trains else None,
        batch_size=draft.get(f"{draft.stages[0]}_dataloader.batch_size") * spec.resources.world_size,
        epochs=draft.get("train_cfg.max_epochs", 0),
        val_protocol=protocol.read(draft, "val") if draft.trains else None,
        test_protocol=protocol.read(draft, "test"),
        weights=weights,
        warnings=draft.warnings,
        num_classes=spec.dataset.classes,
        sees=sampling.sampler(draft.get("train_pipeline")),
        media=loaders.media(draft),
    )


def _copied(value: Any) -> Any:
    """New containers all through, and no two places that share one."""
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_copied, value))
    return value
