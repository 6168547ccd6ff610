"""Every word that a user is told has a meaning and says what to do; the reference is generated from these."""

from __future__ import annotations

from typing import get_args

from mmaction_operator.api.status import Phase
from mmaction_operator.plan import conditions
from mmaction_operator.plan.conditions import CONDITIONS, EVENTS, REASONS, Reason, telling
from mmaction_operator.plan.failures import OF_A_CLUSTER, RETRY
from mmaction_operator.plan.observed import BEFORE_START
from mmaction_trainer.contract.errors import FAILURES, Failure


def test_every_reason_has_a_meaning_and_none_is_two_things() -> None:
    assert REASONS.keys() == {*Reason, *BEFORE_START.values(), "Unschedulable"}
    assert not REASONS.keys() & EVENTS.keys()
    assert all(word.means and word.then for word in (*REASONS.values(), *EVENTS.values()))


def test_every_condition_has_a_meaning() -> None:
    kinds = ("VALIDATED", "PREFLIGHTED", "SUSPENDED", "RUNNING", "COMPLETE", "FAILED")
    assert list(CONDITIONS) == [getattr(conditions, kind) for kind in kinds]


def test_every_phase_has_a_meaning() -> None:
    assert tuple(conditions.PHASES) == get_args(Phase)


def test_every_class_of_failure_says_what_to_do_and_none_has_anothers_words() -> None:
    remedies = [kind.remedy for kind in (Failure, *FAILURES)]
    assert len(set(remedies)) == len(remedies)


def test_whether_an_attempt_is_tried_again_is_said_of_classes_that_there_are() -> None:
    assert RETRY.keys() <= {kind.name for kind in FAILURES} | OF_A_CLUSTER.keys()


def test_a_class_of_failure_is_told_by_a_warning_and_what_goes_its_way_by_nothing() -> None:
    assert telling("OutOfMemory") == "warning"
    assert telling(Reason.TRAINING) == "none"
