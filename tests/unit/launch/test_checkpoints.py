"""Checkpoints on their way to storage and back, with files in place of a training."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.checkpoints import INDEX, PREFIX, Saved, StoredCheckpoints
from mmaction_trainer.contract.errors import DataFailure, StorageFailure
from mmaction_trainer.contract.run import Run
from mmaction_trainer.launch import checkpoints
from mmaction_trainer.launch.checkpoints import CheckpointUpload, bring
from mmaction_trainer.storage.folder import Folder
from tests.run_folders import a_run

DATA = "d" * 64


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "run" / layout.WORK
    folder.mkdir(parents=True)
    return folder


def told(tmp_path: Path, attempt: int = 1, **changes: Any) -> Run:
    run = a_run("uid-1", port=1)
    job = run.job.model_copy(update={"attempt": attempt})
    return run.model_copy(update={"job": job, "results_uri": str(tmp_path / "results"), "epochs": 9, **changes})


def save(work: Path, epoch: int, *, best: str | None = None) -> None:
    """What the ranks do at the end of an epoch."""
    (work / f"epoch_{epoch}.pth").write_text(f"weights of epoch {epoch}")
    if best:
        (work / best).write_text("the best")
    Saved(file=f"epoch_{epoch}.pth", best=best, epoch=epoch, iteration=epoch * 10).write(work.parent / layout.SAVED)


def index(tmp_path: Path, attempt: int = 1) -> StoredCheckpoints:
    return StoredCheckpoints.read(tmp_path / "results" / PREFIX / str(attempt) / INDEX)


def stored(tmp_path: Path) -> set[str]:
    """Names of the checkpoints in storage, without what their content adds."""
    found = (tmp_path / "results" / PREFIX).rglob("*.pth")
    return {f"{path.parent.name}/{path.stem.rpartition('-')[0]}" for path in found}


@pytest.fixture
def uploading(tmp_path: Path, work: Path) -> Iterator[CheckpointUpload]:
    upload = CheckpointUpload(told(tmp_path), work.parent, DATA)
    upload.start()
    yield upload
    upload.abandon()


def test_what_is_saved_is_sent_while_ranks_train_on(tmp_path: Path, work: Path, uploading: CheckpointUpload) -> None:
    save(work, 1)
    deadline = time.monotonic() + 20
    while not uploading.sent:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert [each.epoch for each in index(tmp_path).checkpoints] == [1]


def test_the_end_waits_for_what_is_newest(tmp_path: Path, work: Path, uploading: CheckpointUpload) -> None:
    save(work, 1)
    save(work, 2)
    assert uploading.finish(within=20)
    assert index(tmp_path).checkpoints[0].epoch == 2
    assert not list((work.parent / checkpoints.OUTGOING).iterdir())


def test_the_newest_and_the_best_are_kept_and_others_deleted(tmp_path: Path, work: Path) -> None:
    upload = CheckpointUpload(told(tmp_path), work.parent, DATA)
    for epoch in (1, 2, 3, 4):
        save(work, epoch, best="best_1.pth")
        upload.send_newest()
    assert [each.epoch for each in index(tmp_path).checkpoints] == [4, 3]
    assert stored(tmp_path) == {"1/epoch_4", "1/epoch_3", "1/best_1"}


def test_a_checkpoint_that_was_written_again_is_sent_again_and_the_old_one_goes(tmp_path: Path, work: Path) -> None:
    upload = CheckpointUpload(told(tmp_path), work.parent, DATA)
    save(work, 1)
    upload.send_newest()
    before = index(tmp_path).checkpoints[0].checkpoint.key
    save(work, 1, best="best_1.pth")
    (work / "epoch_1.pth").write_text("with the best noted in it")
    upload.send_newest()
    (only,) = index(tmp_path).checkpoints
    assert only.checkpoint.key != before
    assert stored(tmp_path) == {"1/epoch_1", "1/best_1"}


def test_one_that_was_written_again_waits_until_it_is_told_of(tmp_path: Path, work: Path) -> None:
    upload = CheckpointUpload(told(tmp_path), work.parent, DATA)
    save(work, 1)
    file = work / "epoch_1.pth"
    saved = Saved(file=file.name, written=file.stat().st_mtime_ns, epoch=1, iteration=10)
    saved.write(work.parent / layout.SAVED)
    file.write_text("with the best noted in it, which nobody was told of")
    upload.send_newest()
    assert stored(tmp_path) == set()
    saved.model_copy(update={"written": file.stat().st_mtime_ns}).write(work.parent / layout.SAVED)
    upload.send_newest()
    assert stored(tmp_path) == {"1/epoch_1"}


def test_storage_that_fails_costs_nothing_and_gets_the_newest_once_it_is_back(
    tmp_path: Path, work: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN_LOOKS", 0.05)
    down = True
    sends = Folder.upload

    def upload_unless_down(self: Folder, *words: Any) -> Any:
        if down:
            raise StorageFailure("s3://results", "503 Slow Down")
        return sends(self, *words)

    monkeypatch.setattr(Folder, "upload", upload_unless_down)
    upload = CheckpointUpload(told(tmp_path), work.parent, DATA)
    upload.start()
    save(work, 1)
    time.sleep(0.3)
    save(work, 2)
    time.sleep(0.3)
    assert not list((tmp_path / "results").rglob("*.pth"))
    down = False
    assert upload.finish(within=20)
    assert [each.epoch for each in index(tmp_path).checkpoints] == [2]
    assert "is not in storage yet: s3://results: 503 Slow Down" in capfd.readouterr().out


def test_storage_that_stays_away_is_given_up_at_the_end(
    tmp_path: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Folder, *words: Any) -> Any:
        raise StorageFailure("s3://results", "access denied")

    monkeypatch.setattr(Folder, "upload", refuse)
    upload = CheckpointUpload(told(tmp_path), work.parent, DATA)
    upload.start()
    save(work, 1)
    began = time.monotonic()
    assert not upload.finish(within=0.5)
    assert time.monotonic() - began < 5


def test_an_attempt_goes_on_from_the_furthest_checkpoint_of_any(tmp_path: Path, work: Path) -> None:
    for attempt, epoch in ((1, 3), (2, 5)):
        save(work, epoch, best="best_3.pth")
        CheckpointUpload(told(tmp_path, attempt), work.parent, DATA).send_newest()
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    point = bring(told(tmp_path, 3), fresh, DATA)
    assert point
    assert (point.attempt, point.epoch, point.iteration) == (2, 5, 50)
    assert (fresh / layout.WORK / point.file).read_text() == "weights of epoch 5"
    assert (fresh / layout.WORK / "best_3.pth").read_text() == "the best"
    assert (fresh / layout.RESUME).exists()


def test_the_checkpoints_of_earlier_attempts_go_once_there_is_a_newer_one(tmp_path: Path, work: Path) -> None:
    for attempt in (1, 2):
        save(work, attempt)
        CheckpointUpload(told(tmp_path, attempt), work.parent, DATA).send_newest()
    assert stored(tmp_path) == {"2/epoch_2"}
    assert not (tmp_path / "results" / PREFIX / "1" / INDEX).exists()


def test_an_attempt_that_was_suspended_keeps_what_it_had(tmp_path: Path, work: Path) -> None:
    for epoch in (1, 2, 3):
        save(work, epoch)
        CheckpointUpload(told(tmp_path), work.parent, DATA).send_newest()
    assert [each.epoch for each in index(tmp_path).checkpoints] == [3, 2]
    assert stored(tmp_path) == {"1/epoch_3", "1/epoch_2"}


@pytest.mark.parametrize("resume", ["IfPossible", "Never"])
def test_where_nothing_was_saved_the_attempt_begins_anew(tmp_path: Path, work: Path, resume: str) -> None:
    assert bring(told(tmp_path, 2, resume=resume), work.parent, DATA) is None
    assert not (work.parent / layout.RESUME).exists()


def test_never_is_never(tmp_path: Path, work: Path) -> None:
    save(work, 1)
    CheckpointUpload(told(tmp_path), work.parent, DATA).send_newest()
    assert bring(told(tmp_path, 2, resume="Never"), work.parent, DATA) is None


def test_required_is_for_attempts_after_the_first(tmp_path: Path, work: Path) -> None:
    assert bring(told(tmp_path, 1, resume="Required"), work.parent, DATA) is None
    with pytest.raises(StorageFailure, match=r"no checkpoint, and spec\.resume is Required in attempt 2"):
        bring(told(tmp_path, 2, resume="Required"), work.parent, DATA)


def test_a_list_that_cannot_be_read_is_no_beginning(tmp_path: Path, work: Path) -> None:
    place = tmp_path / "results" / PREFIX / "1"
    place.mkdir(parents=True)
    (place / INDEX).write_text('{"attempt": 1')
    with pytest.raises(StorageFailure, match="not a list of checkpoints"):
        bring(told(tmp_path, 2), work.parent, DATA)


def test_another_data_set_is_refused(tmp_path: Path, work: Path) -> None:
    save(work, 1)
    CheckpointUpload(told(tmp_path), work.parent, DATA).send_newest()
    with pytest.raises(DataFailure, match="its lists are not those that attempt 1 trained on"):
        bring(told(tmp_path, 2), work.parent, "e" * 64)
    assert bring(told(tmp_path, 2, resume="Never"), work.parent, "e" * 64) is None
