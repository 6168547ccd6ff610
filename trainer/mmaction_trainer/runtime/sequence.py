"""A training whose course is fixed by its seed: what is drawn at a place depends on it, and on nothing before it.

MMEngine seeds its generators once, and what they give then depends on all that was drawn since: a training that is
stopped and resumed sees other clips. Here each video's sampling and augmentation are drawn from the seed, the epoch and
the video, and whatever is random in a step from the seed and the step. So no generator has to be saved, a resumed
training goes on in the middle of an epoch with the clips that would have come next, and the number of loader processes,
or of ranks that share a batch, makes no difference to what a video becomes.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sized
from typing import Any, Protocol

import numpy as np
import torch
from mmengine.registry import LOOPS
from mmengine.runner import EpochBasedTrainLoop

from .arriving import want
from .saving import WRITER

OF_SAMPLES, OF_STEPS = 1, 2
"""Streams of random numbers: those of one never follow from those of the other."""


class Sampler(Sized, Protocol):
    """MMEngine's samplers, as far as they matter here."""

    epoch: int

    def __iter__(self) -> Iterator[int]: ...


class Drawn(int):
    """An index of a data set, and the epoch that it was drawn in: it reaches a loader process as one value."""

    epoch: int

    def __new__(cls, index: int, epoch: int) -> Drawn:
        drawn = super().__new__(cls, index)
        drawn.epoch = epoch
        return drawn

    def __reduce__(self) -> tuple[Any, ...]:
        return Drawn, (int(self), self.epoch)


class Sequence:
    """A sampler that begins at a place of its epoch.

    Args:
        sampler: gives the order of each epoch.
    """

    def __init__(self, sampler: Sampler) -> None:
        self.sampler, self.begin = sampler, 0

    def __iter__(self) -> Iterator[Drawn]:
        epoch = self.sampler.epoch
        return (Drawn(index, epoch) for index in itertools.islice(iter(self.sampler), self.begin, None))

    def __len__(self) -> int:
        return len(self.sampler)


class SeededPipeline:
    """A pipeline whose random numbers follow from the seed, the epoch and the video.

    Args:
        pipeline: MMEngine's ``Compose``.
        seed: the training's.
    """

    def __init__(self, pipeline: Any, seed: int) -> None:
        self.pipeline, self.seed = pipeline, seed

    def __call__(self, sample: dict[str, Any]) -> Any:
        """Seed the generators that transforms draw from, and run the pipeline."""
        index = sample["sample_idx"]
        seed_generators(self.seed, OF_SAMPLES, getattr(index, "epoch", 0), int(index))
        return self.pipeline(sample)

    def __getattr__(self, name: str) -> Any:
        if name == "pipeline":  # not there yet while it is unpickled
            raise AttributeError(name)
        return getattr(self.pipeline, name)


@LOOPS.register_module()
class ResumableTrainLoop(EpochBasedTrainLoop):  # type: ignore[misc]
    """MMEngine's loop over epochs, which can begin at any iteration and then goes on as if it had come there itself.

    ``validated`` is the newest epoch whose validation is on record: a checkpoint may be older than the validation that
    follows it, which then is made up for.
    """

    validated = 0

    def __init__(self, runner: Any, dataloader: Any, max_epochs: int, **others: Any) -> None:
        super().__init__(runner, dataloader, max_epochs, **others)
        batches = self.dataloader.batch_sampler
        self.sequence = batches.sampler = Sequence(batches.sampler)
        self.dataloader.dataset.pipeline = SeededPipeline(self.dataloader.dataset.pipeline, runner.seed)

    def run(self) -> Any:
        """Train to the last epoch, and return the model."""
        self.runner.call_hook("before_train")
        self.dataloader.dataset.pipeline.seed = self.runner.seed  # a checkpoint brings its own
        if self._epoch and self._done == 0 and self.validated < self._epoch:
            self._validate()
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._validate()
        self.runner.call_hook("after_train")
        return self.runner.model

    def run_epoch(self) -> None:
        """Train what is left of an epoch."""
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        done = self._done
        self.sequence.begin = done * self.dataloader.batch_sampler.batch_size
        want(self.runner.rank, "train", self.sequence)
        for batch_idx, batch in enumerate(self.dataloader, start=done):
            self.run_iter(batch_idx, batch)
        WRITER.wait()  # hooks remove older checkpoints, and look whether they are there
        self.runner.call_hook("after_train_epoch")
        self._epoch += 1

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """Train a step, with random numbers that are this step's own."""
        seed_generators(self.runner.seed, OF_STEPS, self._iter)
        if torch.cuda.is_available():
            torch.cuda.manual_seed_all(torch.initial_seed())
        super().run_iter(idx, data_batch)

    @property
    def _done(self) -> int:
        """Iterations of the present epoch that are done."""
        return int(self._iter - self._epoch * len(self.dataloader))

    def _validate(self) -> None:
        """Validate where the present epoch is one that ends with it."""
        self._decide_current_val_interval()
        due = self._epoch % self.val_interval == 0 or self._epoch == self._max_epochs
        if self.runner.val_loop is not None and self._epoch >= self.val_begin and due:
            want(self.runner.rank, "val", self.runner.val_loop.dataloader.batch_sampler.sampler)
            self.runner.val_loop.run()


def seed_generators(*key: int) -> None:
    """Seed what transforms and models on CPU draw from, by numbers that say where they draw."""
    state = [int(word) for word in np.random.SeedSequence(key).generate_state(3)]
    random.seed(state[0])
    np.random.seed(state[1])
    torch.default_generator.manual_seed(state[2])
