"""Several failures as one."""

from __future__ import annotations

import pytest

from mmaction_trainer.contract.errors import DataFailure, StorageFailure
from mmaction_trainer.contract.gathered import Gathered, together


def test_nothing_found_is_no_failure() -> None:
    found = Gathered()
    with found.step():
        pass
    found.refuse()


def test_a_step_that_fails_does_not_keep_the_next_from_being_tried() -> None:
    found, tried = Gathered(), []
    for name in ("train.txt", "val.txt"):
        with found.step():
            tried.append(name)
            raise DataFailure(name, "no such file", do="Add it.")
    assert tried == ["train.txt", "val.txt"]
    with pytest.raises(
        DataFailure, match=r"^train\.txt: no such file\. Add it\. Also: Data: val\.txt: no such file\. "
    ):
        found.refuse()


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
    found = Gathered()
    with pytest.raises(ZeroDivisionError), found.step():
        raise ZeroDivisionError
