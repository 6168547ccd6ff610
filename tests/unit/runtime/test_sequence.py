"""What is drawn depends on where it is drawn, and on nothing before it."""

from __future__ import annotations

import pickle
import random
from typing import Any

import numpy as np
import torch
from mmengine.dataset import DefaultSampler

from mmaction_trainer.runtime.sequence import OF_SAMPLES, OF_STEPS, Drawn, SeededPipeline, Sequence, seed_generators

VIDEOS = range(10)


def drawing(sample: dict[str, Any]) -> tuple[float, float, float]:
    """A transform that draws from each generator that transforms use."""
    return random.random(), np.random.rand(), torch.rand(1).item()


def drawn(pipeline: SeededPipeline, epoch: int, index: int) -> Any:
    return pipeline({"sample_idx": Drawn(index, epoch)})


def test_a_sequence_goes_on_at_its_place_with_what_would_have_come_next() -> None:
    sequence = Sequence(DefaultSampler(VIDEOS, shuffle=True, seed=3))
    sequence.sampler.epoch = 2
    whole = list(sequence)
    sequence.begin = 4
    assert list(sequence) == whole[4:]
    assert len(sequence) == len(VIDEOS), "an epoch is as long as ever"
    assert {index.epoch for index in whole} == {2}


def test_an_index_reaches_another_process_with_its_epoch() -> None:
    index = pickle.loads(pickle.dumps(Drawn(7, epoch=3)))
    assert (index, index.epoch) == (7, 3)
    assert isinstance(index, int)


def test_a_video_is_drawn_the_same_whatever_was_drawn_before() -> None:
    pipeline = SeededPipeline(drawing, seed=5)
    before = {index: drawn(pipeline, 1, index) for index in VIDEOS}
    torch.rand(3)
    np.random.rand(4)
    assert {index: drawn(pipeline, 1, index) for index in reversed(VIDEOS)} == before
    assert pickle.loads(pickle.dumps(pipeline))({"sample_idx": Drawn(2, 1)}) == before[2]


def test_epochs_videos_and_seeds_draw_apart() -> None:
    places = [(seed, epoch, index) for seed in (0, 1) for epoch in (0, 1) for index in (0, 1)]
    found = {drawn(SeededPipeline(drawing, seed), epoch, index) for seed, epoch, index in places}
    assert len(found) == len(places)


def test_steps_never_draw_what_samples_draw() -> None:
    found = []
    for stream in (OF_SAMPLES, OF_STEPS):
        seed_generators(0, stream, 1)
        found.append(drawing({}))
    assert found[0] != found[1]
