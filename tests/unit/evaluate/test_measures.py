"""What is measured of predictions, beside MMAction2's own functions and by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.errors import DataFailure
from mmaction_trainer.evaluate import Predictions, measure

NAMES = ("jump", "run", "swim")


def predictions(rows: list[list[float]], labels: list[int], classes: tuple[str, ...] = NAMES) -> Predictions:
    videos = tuple(f"v{number}.mp4" for number in range(len(rows)))
    return Predictions(np.asarray(rows, np.float32), np.asarray(labels), videos, classes)


FOUR = predictions([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.05, 0.9, 0.05]], [0, 1, 1, 2])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("classes", [3, 101])
def test_accuracies_are_mmaction2s_own(seed: int, classes: int) -> None:
    from mmaction_trainer.runtime import compat

    compat.apply()
    from mmaction.evaluation.functional import mean_class_accuracy, top_k_accuracy

    random = np.random.default_rng(seed)
    scores = random.random((200, classes), dtype=np.float32)
    labels = random.integers(0, classes, 200)
    scores[np.arange(200), labels] += random.random(200, dtype=np.float32)
    found = measure(predictions(scores.tolist(), labels.tolist(), tuple(map(str, range(classes)))))
    assert (found.top1, found.top5) == pytest.approx(top_k_accuracy(list(scores), labels.tolist(), (1, 5)))
    assert found.mean_class == pytest.approx(mean_class_accuracy(list(scores), labels.tolist()))


def test_each_class_is_told_by_itself() -> None:
    jump, run, swim = measure(FOUR).classes
    assert (jump.videos, jump.accuracy, jump.precision, jump.confused_with) == (1, 1.0, 0.5, None)
    assert (run.videos, run.accuracy, run.precision, run.confused_with) == (2, 0.5, 0.5, ("jump", 1))
    assert (swim.videos, swim.accuracy, swim.precision, swim.confused_with) == (1, 0.0, None, ("run", 1))


def test_confusions_stand_in_the_row_of_what_is_right() -> None:
    assert measure(FOUR).confusion.tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 0]]


def test_a_class_that_the_test_has_not_got_has_no_accuracy() -> None:
    found = measure(predictions([[0.9, 0.1, 0.0]], [0]))
    assert [each.accuracy for each in found.classes] == [1.0, None, None]
    assert found.mean_class == 1.0


def test_the_most_confident_mistakes_come_first() -> None:
    first, second = measure(FOUR).mistakes
    assert (first.video, first.label, first.predicted) == ("v3.mp4", "swim", "run")
    assert (first.score, first.score_of_label) == pytest.approx((0.9, 0.05))
    assert second.video == "v1.mp4"


def test_scores_that_are_right_as_often_as_they_say_are_calibrated() -> None:
    rows = [[0.75, 0.25]] * 4
    calibrated = measure(predictions(rows, [0, 0, 0, 1], ("a", "b")))
    assert calibrated.calibration_error == pytest.approx(0)
    assert [each.videos for each in calibrated.calibration] == [4]
    boasting = measure(predictions(rows, [1, 1, 1, 1], ("a", "b")))
    assert boasting.calibration_error == pytest.approx(0.75)


def left_by_ranks(run_dir: Path, labels: list[int]) -> None:
    (run_dir / "data").mkdir()
    (run_dir / "test").mkdir()
    (run_dir / layout.LISTS["test"]).write_text("jump/a.mp4 0\nrun/b.mp4 1\n")
    (run_dir / layout.CLASSES).write_text("\n".join(NAMES) + "\n")
    np.savez(run_dir / layout.SCORES, scores=FOUR.scores[:2], labels=np.asarray(labels))


def test_predictions_are_read_with_the_names_of_videos_and_classes(tmp_path: Path) -> None:
    left_by_ranks(tmp_path, [0, 1])
    read = Predictions.read(tmp_path)
    assert (read.videos, read.classes) == (("jump/a.mp4", "run/b.mp4"), NAMES)
    assert read.scores.shape == (2, 3)


def test_scores_of_other_videos_than_the_lists_are_refused(tmp_path: Path) -> None:
    left_by_ranks(tmp_path, [1, 0])
    with pytest.raises(DataFailure, match=r"labels are not those of the 2 in data/test\.txt"):
        Predictions.read(tmp_path)
