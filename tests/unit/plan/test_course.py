"""Where a job is follows from what exists: a table of what is seen and what it means."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mmaction_operator.plan import AttemptSeen, course_of, is_finished, seconds_left
from mmaction_operator.plan.failures import MOST_FREE
from mmaction_operator.render import Rendered
from mmaction_trainer.contract import errors
from mmaction_trainer.contract.errors import ConfigFailure, Failure

from .conftest import CHECKED, NOW, a_job, a_pod, a_result, an_attempt, ended, failed_as


def test_a_config_that_does_not_render_is_the_end() -> None:
    course = course_of(a_job(), ConfigFailure("spec.model.config", "no such"), [])
    assert (course.stage, course.failure and course.failure.name) == ("Invalid", "Config")


CASES: dict[str, tuple[list[AttemptSeen], tuple[str, int, bool]]] = {
    "nothing yet": ([], ("Preflight", 0, False)),
    "preflight runs": ([an_attempt(0, a_pod())], ("Preflight", 0, True)),
    "preflight passed": ([CHECKED], ("Attempt", 1, False)),
    "preflight failed": ([an_attempt(0, failed_as(errors.DataFailure), state="Failed")], ("Failed", 0, True)),
    "training": ([CHECKED, an_attempt(1, a_pod())], ("Attempt", 1, True)),
    "training, the preflight's Job removed": ([an_attempt(1, a_pod())], ("Attempt", 1, True)),
    "trained": ([CHECKED, an_attempt(1, ended(0, result=a_result()), state="Complete")], ("Complete", 1, True)),
    "failed once": (
        [CHECKED, an_attempt(1, failed_as(errors.CollectiveFailure), state="Failed")],
        ("Attempt", 2, False),
    ),
    "the second attempt runs": (
        [an_attempt(1, failed_as(errors.CollectiveFailure), state="Failed"), an_attempt(2, a_pod())],
        ("Attempt", 2, True),
    ),
    "memory ran out": (
        [an_attempt(1, ended(137, reason="OOMKilled"), state="Failed")],
        ("Failed", 1, True),
    ),
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.replace(" ", "-"))
def test_where_a_job_is(case: str, rendered: Rendered) -> None:
    attempts, (stage, number, seen) = CASES[case]
    course = course_of(a_job(), rendered, attempts)
    assert (course.stage, course.attempt, course.seen is not None) == (stage, number, seen)


def test_a_preflight_that_kubernetes_took_away_is_made_again(rendered: Rendered) -> None:
    lost = an_attempt(0, a_pod(phase="Failed", reason="Evicted"), state="Failed")
    course = course_of(a_job(), rendered, [lost])
    assert (course.stage, course.lost, course.seen) == ("Preflight", lost, None)


def test_without_preflight_training_comes_first(rendered: Rendered) -> None:
    assert course_of(a_job(preflight=False), rendered, []).stage == "Attempt"


def test_a_preflight_that_is_on_record_is_not_made_again(rendered: Rendered) -> None:
    checked = {"type": "Preflighted", "status": "True", "reason": "Passed", "message": "m", "lastTransitionTime": NOW}
    assert course_of(a_job({"conditions": [checked]}), rendered, []).attempt == 1


def test_an_attempt_that_is_leased_and_not_made_yet_is_the_one_to_make(rendered: Rendered) -> None:
    lost = an_attempt(1, failed_as(errors.CollectiveFailure), state="Failed")
    course = course_of(a_job({"attempt": 2, "port": 20002}), rendered, [lost])
    assert (course.attempt, course.seen) == (2, None)


@pytest.mark.parametrize(
    "kind", [errors.ConfigFailure, errors.DataFailure, errors.MemoryFailure, errors.DiskFailure], ids=lambda k: k.name
)
def test_what_a_user_has_to_mend_is_not_tried_again(kind: type[Failure], rendered: Rendered) -> None:
    course = course_of(a_job(), rendered, [an_attempt(1, failed_as(kind), state="Failed")])
    assert (course.stage, course.failure and course.failure.name) == ("Failed", kind.name)


def failures(kind: type[Failure], count: int) -> list[AttemptSeen]:
    return [
        an_attempt(n, failed_as(kind), state="Failed", port=20000 + n, ago=10 * (count - n))
        for n in range(1, count + 1)
    ]


def test_failed_attempts_are_tried_again_as_often_as_the_job_says(rendered: Rendered) -> None:
    for count, stage in ((1, "Attempt"), (2, "Attempt"), (3, "Failed")):
        course = course_of(a_job(backoffLimit=2), rendered, failures(errors.CollectiveFailure, count))
        assert course.stage == stage, count


def test_a_port_that_was_taken_is_avoided_at_once_and_not_counted(rendered: Rendered) -> None:
    course = course_of(a_job(backoffLimit=0), rendered, failures(errors.PortFailure, 3))
    assert (course.stage, course.attempt, course.begin) == ("Attempt", 4, None)
    assert course.avoid == {20001, 20002, 20003}
    assert course_of(a_job(), rendered, failures(errors.PortFailure, MOST_FREE + 1)).stage == "Failed"


def test_waits_between_attempts_double(rendered: Rendered) -> None:
    waits = []
    for count in range(1, 8):
        course = course_of(a_job(backoffLimit=100), rendered, failures(errors.CollectiveFailure, count))
        assert course.begin
        waits.append(course.begin - NOW)
    assert waits[:3] == [timedelta(seconds=seconds) for seconds in (10, 20, 40)]
    assert max(waits) == timedelta(minutes=5)


WHY: list[tuple[str, list[Any], str]] = [
    ("a launcher says", [failed_as(errors.StorageFailure)], "Storage"),
    (
        "a peer that lost the one that failed",
        [failed_as(errors.CollectiveFailure), failed_as(errors.DataFailure, 1)],
        "Data",
    ),
    (
        "both lost each other",
        [failed_as(errors.CollectiveFailure), failed_as(errors.CollectiveFailure, 1)],
        "Collective",
    ),
    ("stopped as another failed", [failed_as(errors.Interrupted), failed_as(errors.PortFailure, 1)], "Port"),
    ("the kernel killed it", [ended(137, reason="OOMKilled")], "OutOfMemory"),
    ("a kubelet evicted it", [ended(137, reason="Evicted")], "Preempted"),
    ("no word but a code", [ended(12)], "Storage"),
    ("no word and no code of ours", [ended(139)], "Unknown"),
    ("no pod left", [], "Unknown"),
]


@pytest.mark.parametrize(("what", "pods", "name"), WHY, ids=[case[0].replace(" ", "-") for case in WHY])
def test_why_an_attempt_failed(what: str, pods: list[Any], name: str, rendered: Rendered) -> None:
    course = course_of(a_job(backoffLimit=0), rendered, [an_attempt(1, *pods, state="Failed")])
    assert course.failure
    assert (course.failure.name, bool(course.failure.message)) == (name, True)


@pytest.mark.parametrize(
    ("pods", "message"),
    [
        ([], "told to stop"),
        ([failed_as(errors.Interrupted)], "told to stop"),
        ([ended(137, reason="PreemptionByScheduler"), failed_as(errors.CollectiveFailure, 1)], "PreemptionByScheduler"),
    ],
)
def test_a_pod_that_was_taken_away_is_not_counted_though_it_is_gone(
    pods: list[Any], message: str, rendered: Rendered
) -> None:
    gone = replace(an_attempt(1, *pods, state="Failed"), reason="PodFailurePolicy")
    course = course_of(a_job(backoffLimit=0, preflight=False), rendered, [gone])
    assert course.failure
    assert (course.stage, course.attempt, course.failure.name, course.begin) == ("Attempt", 2, "Preempted", None)
    assert message in course.failure.message


def test_a_success_of_which_nobody_heard_is_looked_for_by_the_next_attempt(rendered: Rendered) -> None:
    """Its pod was removed while no controller ran: the results are in storage, and only an attempt can read them."""
    silent = an_attempt(1, state="Complete")
    course = course_of(a_job(backoffLimit=0, preflight=False), rendered, [silent])
    assert (course.stage, course.attempt, course.begin) == ("Attempt", 2, None)
    assert course.failure
    assert (course.failure.name, course.failure.retry) == ("Preempted", "free")
    found = an_attempt(2, ended(0, result=a_result()), state="Complete")
    over = course_of(a_job(backoffLimit=0, preflight=False), rendered, [silent, found])
    assert (over.stage, over.attempt, over.result) == ("Complete", 2, a_result())


def test_a_success_of_which_nobody_heard_is_one_though_no_attempt_is_left(rendered: Rendered) -> None:
    often = [an_attempt(number, failed_as(errors.PortFailure), state="Failed") for number in range(1, 11)]
    silent = an_attempt(11, state="Complete")
    course = course_of(a_job(preflight=False), rendered, [*often, silent])
    assert (course.stage, course.attempt, course.result) == ("Complete", 11, None)
    assert len(course.failed) == 10
    late = replace(silent, attempt=1, ended=NOW, began=NOW - timedelta(seconds=101))
    course = course_of(a_job(preflight=False, activeDeadlineSeconds=100), rendered, [late])
    assert (course.stage, course.failed) == ("Complete", ())


@pytest.mark.parametrize(("kind", "over"), [("Complete", True), ("Failed", True), ("Running", False)])
def test_a_job_is_over_once_its_status_says_so(kind: str, over: bool) -> None:
    said = {"type": kind, "status": "True", "reason": "r", "message": "m", "lastTransitionTime": NOW}
    assert is_finished(a_job({"conditions": [said]})) is over
    assert not is_finished(a_job())


def test_a_suspended_job_is_where_it_is_and_held(rendered: Rendered) -> None:
    ended_well = an_attempt(1, ended(0, result=a_result()), state="Complete")
    checking = an_attempt(0, a_pod())
    told = [
        ((), "Preflight", True),
        ((checking,), "Preflight", True),
        ((CHECKED,), "Attempt", True),
        ((CHECKED, an_attempt(1, a_pod())), "Attempt", True),
        ((CHECKED, an_attempt(1, failed_as(errors.StorageFailure), state="Failed")), "Attempt", True),
        ((CHECKED, ended_well), "Complete", False),
        ((CHECKED, an_attempt(1, failed_as(errors.DataFailure), state="Failed")), "Failed", False),
    ]
    for attempts, stage, held in told:
        course = course_of(a_job(suspend=True), rendered, attempts)
        assert (course.stage, course.held) == (stage, held)
        assert not course_of(a_job(), rendered, attempts).held


def test_attempts_share_the_time_that_a_job_may_train(rendered: Rendered) -> None:
    def lasting(number: int, seconds: float, **rest: Any) -> AttemptSeen:
        failed = an_attempt(number, failed_as(errors.StorageFailure), state="Failed", **rest)
        assert failed.ended
        return replace(failed, began=failed.ended - timedelta(seconds=seconds))

    job = a_job(activeDeadlineSeconds=100, preflight=False)
    one = course_of(job, rendered, [lasting(1, 40, ago=60)])
    assert (one.stage, one.attempt, seconds_left(job, one.failed)) == ("Attempt", 2, 60)
    assert seconds_left(job, ()) == 100
    assert seconds_left(a_job(), one.failed) is None
    two = course_of(job, rendered, [lasting(1, 40, ago=60), lasting(2, 61)])
    assert two.failure
    assert (two.stage, two.failure.name) == ("Failed", "Deadline")
    stopped = replace(lasting(1, 100), reason="DeadlineExceeded")
    over = course_of(job, rendered, [stopped])
    assert over.failure
    assert (over.stage, over.failure.name) == ("Failed", "Deadline")


def test_time_that_is_on_record_counts_after_pods_and_job_are_gone(rendered: Rendered) -> None:
    began, past = (NOW - timedelta(seconds=seconds) for seconds in (90, 30))
    record = {"attempt": 1, "reason": "Storage", "began": began.isoformat(), "ended": past.isoformat()}
    job = a_job({"attempt": 2, "failures": [record]}, activeDeadlineSeconds=100, preflight=False)
    assert seconds_left(job, course_of(job, rendered, []).failed) == 40
