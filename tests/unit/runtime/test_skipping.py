"""Corrupt videos of a training: another one takes their place, the same one always, and they are told once."""

from __future__ import annotations

import pickle
import random
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mmaction_trainer.contract.errors import DataFailure, StorageFailure
from mmaction_trainer.contract.skipping import Skipped
from mmaction_trainer.runtime import resuming
from mmaction_trainer.runtime.sequence import Drawn, SeededPipeline
from mmaction_trainer.runtime.skipping import SkippingPipeline, note, noted

VIDEOS = 10


class Videos:
    """A data set as far as a pipeline sees it, some of it corrupt."""

    def __init__(self, *corrupt: int) -> None:
        self.corrupt = corrupt

    def __len__(self) -> int:
        return VIDEOS

    def get_data_info(self, index: Any) -> dict[str, Any]:
        return {"sample_idx": index, "filename": f"{int(index)}.mp4"}

    def draw(self, sample: dict[str, Any]) -> tuple[str, float]:
        if int(sample["sample_idx"]) in self.corrupt:
            raise DataFailure(sample["filename"], "does not decode: no stream", do="Replace it.")
        return sample["filename"], random.random()


@pytest.fixture(autouse=True)
def _in_a_run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def skipping(videos: Videos, share: float = 0.5) -> SkippingPipeline:
    return SkippingPipeline(SeededPipeline(videos.draw, seed=3), videos, share)


def drawn(pipeline: SkippingPipeline, index: int, epoch: int = 1) -> Any:
    return pipeline(pipeline.dataset.get_data_info(Drawn(index, epoch)))


def test_the_next_video_that_can_be_used_takes_the_place_of_a_corrupt_one_as_it_would_be_drawn_itself() -> None:
    pipeline = skipping(Videos(3, 4, 9))
    assert drawn(pipeline, 3) == drawn(pipeline, 4) == drawn(pipeline, 5)
    assert drawn(pipeline, 9) == drawn(pipeline, 0), "after the last comes the first"
    assert drawn(pipeline, 3, epoch=2) == drawn(pipeline, 5, epoch=2) != drawn(pipeline, 5)


def test_whatever_was_drawn_before_and_in_which_process_makes_no_difference() -> None:
    first = drawn(skipping(Videos(3)), 3)
    other = skipping(Videos(3))
    drawn(other, 7)
    assert drawn(pickle.loads(pickle.dumps(other)), 3) == first


def test_all_others_are_what_they_are_without_it() -> None:
    plain = SeededPipeline(Videos().draw, seed=3)
    for index in range(VIDEOS):
        if index != 3:
            assert drawn(skipping(Videos(3)), index) == plain(
                {"sample_idx": Drawn(index, 1), "filename": f"{index}.mp4"}
            )


def test_each_is_named_once_however_often_it_is_met(capfd: pytest.CaptureFixture[str]) -> None:
    pipeline = skipping(Videos(3))
    for epoch in range(3):
        drawn(pipeline, 3, epoch)
    assert noted() == [Skipped(video="3.mp4", reason="does not decode: no stream")]
    assert capfd.readouterr().out == "warning: a corrupt video is skipped: 3.mp4: does not decode: no stream\n"


def test_processes_that_meet_one_at_once_name_it_once(capfd: pytest.CaptureFixture[str]) -> None:
    with get_context("fork").Pool(8) as pool:
        pool.map(note, [Skipped(video=f"{number % 5}.mp4", reason="is cut off") for number in range(200)], chunksize=1)
    assert len(noted()) == 5
    assert len(capfd.readouterr().out.splitlines()) == 5


def test_more_than_the_share_fail_with_their_number_the_share_and_the_first_of_them() -> None:
    pipeline = skipping(Videos(1, 3, 5, 7), share=0.3)
    for index in (1, 3, 5):
        drawn(pipeline, index)
    with pytest.raises(DataFailure) as refused:
        drawn(pipeline, 7)
    reason = "does not decode: no stream"
    assert str(refused.value) == (
        f"spec.dataset.maxSkippedShare: 4 of 10 training videos are corrupt (1.mp4: {reason}; 3.mp4: {reason}; "
        f"5.mp4: {reason}; ...); accepted: 30.00% of them at most. "
        "Replace them, take them off the lists, or raise the share."
    )


def test_a_data_set_that_is_all_corrupt_ends() -> None:
    with pytest.raises(DataFailure, match="of 10 training videos are corrupt"):
        drawn(skipping(Videos(*range(VIDEOS)), share=0.99), 0)


def test_an_attempt_that_goes_on_knows_what_the_one_before_has_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    record = SimpleNamespace(state=lambda: {}, restore=lambda state: 0)
    runner = SimpleNamespace(_resume=True, train_dataloader=[], train_loop=SimpleNamespace(), work_dir="work")
    monkeypatch.setattr(resuming, "progress_of", lambda runner: record)
    for of_the_config in ("batch_of", "course_of", "check"):
        monkeypatch.setattr(resuming, of_the_config, lambda *_: {})
    note(Skipped(video="3.mp4", reason="is cut off"))
    checkpoint: dict[str, Any] = {"optimizer": {}, "message_hub": {"runtime_info": {}}}
    resuming.ResumeHook().before_save_checkpoint(runner, checkpoint)
    (tmp_path / "attempt-2").mkdir()
    monkeypatch.chdir(tmp_path / "attempt-2")
    resuming.ResumeHook().after_load_checkpoint(runner, checkpoint)
    assert noted() == [Skipped(video="3.mp4", reason="is cut off")]
    assert capfd.readouterr().out.count("3.mp4: is cut off") == 2, "once an attempt"


def test_storage_that_fails_makes_no_video_corrupt() -> None:
    class Away(Videos):
        def draw(self, sample: dict[str, Any]) -> tuple[str, float]:
            raise StorageFailure("s3://a/b.mp4", "no connection")

    with pytest.raises(StorageFailure):
        drawn(skipping(Away()), 1)
    assert noted() == []
