"""A termination message is a whole result in 4096 bytes, whatever the result says."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmaction_trainer.contract.errors import CollectiveFailure, DataFailure, Failure, HangFailure, StorageFailure
from mmaction_trainer.contract.pod import TERMINATION_BYTES
from mmaction_trainer.contract.result import MOST_LINES, FailureReport, Result, Score
from mmaction_trainer.contract.run import Protocol
from mmaction_trainer.contract.termination import MOST_WARNINGS, termination_message

URI = "s3://results/team-a/default/slowfast/0a1b"


def failed(failure: Failure, **more: object) -> Result:
    told = {"outcome": "Failed", "results_uri": URI, "port": 20123, "world_size": 8, "node_rank": 1}
    return Result.model_validate({**told, "error": FailureReport.of(failure), **more})


def read(message: bytes) -> Result:
    assert len(message) <= TERMINATION_BYTES
    return Result.model_validate_json(message)


def test_a_result_that_fits_is_told_whole_on_one_line() -> None:
    score = Score(protocol=Protocol(clips=10, crops=3), top1=0.91, top5=0.99, mean_class=0.9, videos=3783)
    result = Result(
        outcome="Succeeded",
        results_uri=URI,
        port=20123,
        world_size=8,
        val=score,
        test=score,
        checkpoint="checkpoints/best_acc_top1_epoch_12.pth",
        manifest_sha256="0" * 64,
    )
    message = termination_message(result)
    assert read(message) == result
    assert b"\n" not in message
    assert b": " not in message


def test_a_long_message_loses_its_end_and_nothing_else_is_lost() -> None:
    failure = DataFailure("train.txt:12", "'a.mp4' is not there " * 1000)
    result = failed(failure)
    kept = read(termination_message(result))
    assert kept.error
    assert kept.error.message.endswith("…")
    assert str(failure).startswith(kept.error.message[:-1])
    assert len(kept.error.message) > 3500, "what fits is kept"
    assert kept == result.model_copy(update={"error": kept.error})
    assert (kept.error.failure, kept.error.exit_code, kept.error.where) == ("Data", 11, "train.txt:12")


def test_many_warnings_are_counted() -> None:
    warnings = tuple(f"warning {number} " + "x" * 1000 for number in range(1234))
    kept = read(termination_message(failed(DataFailure("a", "b"), warnings=warnings))).warnings
    assert len(kept) == MOST_WARNINGS
    assert kept[0].startswith("warning 0 xxx")
    assert kept[-1] == f"and {1234 - MOST_WARNINGS + 1:,} more warnings in the log"


@pytest.mark.parametrize("letter", ["é", "動", "\U0001f3ac", '"', "\\", "\x01", "\n"])
def test_letters_that_take_several_bytes_of_json_are_cut_whole(letter: str) -> None:
    kept = read(termination_message(failed(StorageFailure("x", letter * 5000))))
    assert kept.error
    assert set(kept.error.message.removeprefix("x: ")) == {letter, "…"}


def test_the_last_lines_of_a_rank_reach_whoever_reads_the_message() -> None:
    failure = Failure("KeyError", "nonsense")
    failure.rank, failure.last_lines = 3, tuple(f"{number} " + "x" * 190 for number in range(MOST_LINES))
    kept = read(termination_message(failed(failure))).error
    assert kept
    assert (kept.rank, kept.last_lines) == (3, failure.last_lines)
    assert (kept.cause.rank, kept.cause.last_lines) == (3, failure.last_lines)


def test_a_hang_is_one_on_the_other_side_too() -> None:
    kept = read(termination_message(failed(HangFailure("rank 1", "no progress")))).error
    assert kept
    assert (kept.exit_code, kept.hung, type(kept.cause)) == (CollectiveFailure.exit_code, True, HangFailure)


TEXTS = st.text(st.characters(codec="utf-8"), max_size=50)


@given(TEXTS, st.integers(1, 300), st.lists(TEXTS, max_size=30), st.lists(TEXTS, max_size=MOST_LINES))
def test_any_result_becomes_json_that_fits(text: str, times: int, warnings: list[str], lines: list[str]) -> None:
    failure = DataFailure(text * times, text * times)
    failure.last_lines = tuple(line * times for line in lines)
    result = failed(
        failure,
        warnings=tuple(warning * times for warning in warnings),
        results_uri="s3://" + "x" * 10 * times,
        checkpoint="checkpoints/" + "x" * 10 * times,
    )
    kept = read(termination_message(result))
    assert (kept.outcome, kept.error and kept.error.exit_code) == ("Failed", 11)


def test_a_file_name_that_is_not_utf_8_is_told() -> None:
    report = FailureReport.of(DataFailure("videos/a\udce9.mp4", "does not decode"))
    assert FailureReport.model_validate_json(report.to_json()).message == r"videos/a\udce9.mp4: does not decode"


def test_the_result_of_an_older_launcher_is_read() -> None:
    older = {"outcome": "Succeeded", "resultsUri": URI, "port": 1, "worldSize": 2}
    result = Result.model_validate_json(json.dumps(older))
    assert (result.node_rank, result.warnings) == (0, ())
