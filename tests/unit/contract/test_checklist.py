"""Checks that are all made, what they leave, and several failures as one."""

from __future__ import annotations

import pytest

from mmaction_trainer.contract.checklist import Checklist, together
from mmaction_trainer.contract.errors import DataFailure, StorageFailure
from mmaction_trainer.contract.preflight import CHECKS, Preflight


def test_nothing_found_is_no_failure() -> None:
    checks = Checklist()
    with checks.check("lists") as notes:
        notes.said = "3 videos"
    checks.refuse()
    (check,) = checks.report.checks
    assert (check.name, check.outcome, check.said) == ("lists", "passed", "3 videos")


def test_a_check_that_fails_does_not_keep_the_next_from_being_made() -> None:
    checks, tried = Checklist(), []
    for name in ("labels", "lists"):
        with checks.check(name):
            tried.append(name)
            raise DataFailure(f"{name}.txt", "no such file", do="Add it.")
    assert tried == ["labels", "lists"]
    assert checks.failed("lists")
    assert [check.name for check in checks.report.checks] == ["lists", "labels"], "in the order of CHECKS"
    with pytest.raises(
        DataFailure, match=r"^labels\.txt: no such file\. Add it\. Also: Data: lists\.txt: no such file\. "
    ):
        checks.refuse()


def test_errors_stand_apart_from_warnings() -> None:
    checks = Checklist()
    with checks.check("storage"):
        raise StorageFailure("s3://results", "denied")
    with checks.check("lists") as notes:
        notes.warnings.append("one file was left out")
    checks.skip("labels", why="there are none")
    report = Preflight.model_validate_json(checks.report.to_json())
    assert [error.message for error in report.errors] == ["s3://results: denied"]
    assert report.warnings == ("one file was left out",)
    assert [(check.name, check.outcome) for check in report.checks] == [
        ("storage", "failed"),
        ("lists", "warned"),
        ("labels", "skipped"),
    ]
    assert report.lines()[-2:] == ["error: Storage: s3://results: denied", "warning: one file was left out"]


def test_checks_of_another_process_count_as_ones_own() -> None:
    theirs, ours = Checklist(), Checklist()
    with theirs.check("model"):
        raise DataFailure("model.py", "no such class", accepted="one that exists", do="Name it.")
    ours.add(theirs.report.checks)
    assert ours.failed("model")
    with pytest.raises(DataFailure) as refused:
        ours.refuse()
    assert str(refused.value) == "model.py: no such class; accepted: one that exists. Name it."


def test_one_failure_stays_as_it_is() -> None:
    failure = DataFailure("train.txt", "no such file", accepted="a list", do="Add it.")
    assert together([failure]) is failure


def test_what_trying_again_cannot_mend_gives_the_class() -> None:
    storage = StorageFailure("s3://results", "no connection", do="Check it.")
    data = DataFailure("train.txt:2", "label 7", accepted="0 to 6")
    failure = together([storage, data])
    assert (type(failure), failure.where) == (DataFailure, "train.txt:2")
    assert (
        str(failure) == "train.txt:2: label 7; accepted: 0 to 6. Also: Storage: s3://results: no connection. Check it."
    )


def test_what_is_no_failure_is_not_kept() -> None:
    checks = Checklist()
    with pytest.raises(ZeroDivisionError), checks.check("lists"):
        raise ZeroDivisionError


def test_every_check_says_what_it_sees_to() -> None:
    assert all(meaning and not meaning.endswith(".") for meaning in CHECKS.values())
