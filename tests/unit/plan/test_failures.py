"""Which of an attempt's pods is to blame, what a pod's end means, and how users are told which rank failed first."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from mmaction_operator.api.status import TrainJobStatus
from mmaction_operator.plan import PodSeen, course_of, happenings, status_of
from mmaction_operator.plan.failures import failure_of
from mmaction_operator.plan.observed import pod_seen
from mmaction_operator.plan.transitions import LONGEST_EVENT
from mmaction_operator.render import Rendered
from mmaction_trainer.contract import errors
from mmaction_trainer.contract.errors import CollectiveFailure, Failure, HangFailure
from mmaction_trainer.contract.result import LONGEST_LINE, MOST_LINES, FailureReport

from .conftest import CHECKED, NOW, a_job, a_pod, a_result, an_attempt, ended, failed_as

LINES = ("Traceback (most recent call last):", "KeyError: 'nonsense'")


def told(failure: Failure, index: int = 0, *, rank: int | None = None, lines: Any = (), after: float = 0) -> PodSeen:
    """A pod whose launcher said which rank failed, so many seconds after NOW."""
    failure.rank, failure.last_lines = rank, tuple(lines)
    report = FailureReport.of(failure).model_copy(update={"at": NOW + timedelta(seconds=after)})
    node = f"node-{index}"
    return ended(failure.exit_code, index=index, node=node, result=a_result("Failed", error=report))


LOST, HUNG = CollectiveFailure("ranks", "Connection closed by peer"), HangFailure("rank 1", "no progress for 121 s")
BLAME: dict[str, tuple[list[PodSeen], str, str]] = {
    "a crash before those that lost it": (
        [told(LOST, rank=0), told(Failure("rank 4", "crashed: SIGSEGV"), 1, rank=4, after=9)],
        "Unknown",
        "SIGSEGV",
    ),
    "a hang before those that lost what was ended": ([told(LOST, rank=0, after=1), told(HUNG, 1)], "Collective", "121"),
    "a hang before those that were stopped for it": (
        [failed_as(errors.Interrupted), told(HUNG, 1)],
        "Collective",
        "121",
    ),
    "of two hangs the first": (
        [told(HangFailure("ranks 0 and 1", "no progress for 151 s"), after=30), told(HUNG, 1)],
        "Collective",
        "121",
    ),
    "a lost node before the hang that it makes": (
        [told(HUNG), a_pod(1, phase="Failed", reason="NodeLost")],
        "Preempted",
        "NodeLost",
    ),
    "of two that lost each other the first": (
        [told(CollectiveFailure("ranks", "second"), after=2), told(CollectiveFailure("ranks", "first"), 1)],
        "Collective",
        "first",
    ),
}


@pytest.mark.parametrize(("pods", "name", "says"), BLAME.values(), ids=BLAME)
def test_the_pod_to_blame_has_most_to_say_and_said_it_first(pods: list[PodSeen], name: str, says: str) -> None:
    failure = failure_of(an_attempt(1, *pods, state="Failed"))
    assert failure.name == name
    assert says in failure.message


def a_raw_pod(status: dict[str, Any], **terminated: Any) -> PodSeen:
    """A pod as the API server has it."""
    containers = [{"state": {"terminated": terminated}}] if terminated else []
    return pod_seen(
        {
            "metadata": {"uid": "u", "name": "p", "annotations": {}},
            "spec": {"nodeName": "node-1"},
            "status": {"phase": "Failed", "containerStatuses": containers, **status},
        }
    )


RUNTIME = "OCI runtime create failed: nvidia-container-cli: initialization error: driver not loaded"
ENDS: dict[str, tuple[PodSeen, str, str, str]] = {
    "memory": (a_raw_pod({}, exitCode=137, reason="OOMKilled"), "OutOfMemory", "never", "memoryPerNode"),
    "an eviction": (a_raw_pod({"reason": "Evicted"}, exitCode=137, reason="Error"), "Preempted", "free", "Evicted"),
    "an eviction of which the container is lost": (
        a_raw_pod({"reason": "Evicted"}, exitCode=137, reason="ContainerStatusUnknown"),
        "Preempted",
        "free",
        "Evicted",
    ),
    "a container that is lost": (
        a_raw_pod({}, exitCode=137, reason="ContainerStatusUnknown"),
        "Preempted",
        "free",
        "ContainerStatusUnknown",
    ),
    "a node that had no power for a while": (
        a_raw_pod({}, exitCode=255, reason="Unknown"),
        "Preempted",
        "free",
        "node",
    ),
    "a node that shuts down": (
        a_raw_pod({"reason": "Terminated", "message": "Pod was terminated in response to imminent node shutdown."}),
        "Preempted",
        "free",
        "Terminated",
    ),
    "a scheduler's preemption": (
        a_raw_pod(
            {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]},
            exitCode=143,
        ),
        "Preempted",
        "free",
        "PreemptionByScheduler",
    ),
    "a node whose device plugin fails": (
        a_raw_pod({"reason": "UnexpectedAdmissionError", "message": "Allocate failed: no healthy devices"}),
        "Preempted",
        "free",
        "no healthy devices",
    ),
    "a node that has filled up meanwhile": (a_raw_pod({"reason": "OutOfmemory"}), "Preempted", "free", "OutOfmemory"),
    "a container that does not start": (
        a_raw_pod({}, exitCode=128, reason="StartError", message=RUNTIME),
        "Unknown",
        "charged",
        "driver not loaded",
    ),
    "a launcher that crashes": (a_raw_pod({}, exitCode=139, reason="Error"), "Unknown", "charged", "139 (SIGSEGV)"),
    "a launcher that is killed": (a_raw_pod({}, exitCode=137, reason="Error"), "Unknown", "charged", "137 (SIGKILL)"),
    "a code of ours": (a_raw_pod({}, exitCode=12, reason="Error"), "Storage", "charged", "exit code 12"),
}


@pytest.mark.parametrize(("pod", "name", "retry", "says"), ENDS.values(), ids=ENDS)
def test_a_pods_end_has_a_class_a_rule_and_words(pod: PodSeen, name: str, retry: str, says: str) -> None:
    failure = failure_of(an_attempt(1, pod, state="Failed"))
    assert (failure.name, failure.retry) == (name, retry)
    assert says in failure.message


def status_after(*pods: PodSeen, rendered: Rendered, before: Any = None, **spec: Any) -> tuple[TrainJobStatus, str]:
    """The status of a job whose first attempt has failed, and the event that tells of it."""
    job = a_job(before, **spec)
    course = course_of(job, rendered, [CHECKED, an_attempt(1, *pods, state="Failed")] if pods else [CHECKED])
    found = status_of(job, rendered, course, port=20001, progress=None, now=NOW)
    (event,) = (told for told in happenings(job.status, found, course) if told.reason in ("AttemptFailed", "JobFailed"))
    return found, event.message


def test_a_status_says_which_rank_failed_first_where_and_its_last_lines(rendered: Rendered) -> None:
    pod = told(Failure("KeyError", "nonsense"), 1, rank=3, lines=LINES)
    found, event = status_after(failed_as(CollectiveFailure), pod, rendered=rendered)
    (failure,) = found.failures
    assert (failure.reason, failure.message) == ("Unknown", "KeyError: nonsense")
    assert (failure.rank, failure.pod, failure.node, tuple(failure.last_lines)) == (3, "job-1-1", "node-1", LINES)
    assert event == "\n".join(
        ("attempt 1 failed: rank 3, pod job-1-1, node node-1: KeyError: nonsense", "Its last lines:", *LINES)
    )
    running = next(condition for condition in found.conditions if condition.type == "Running")
    assert "rank 3, pod job-1-1, node node-1: KeyError: nonsense" in running.message


def test_a_job_that_is_over_says_so_too(rendered: Rendered) -> None:
    found, event = status_after(told(HUNG, rank=1, lines=LINES), rendered=rendered, backoffLimit=0)
    message = "attempt 1 failed: rank 1, pod job-1-0, node node-0: no progress for 121 s"
    assert [condition.message for condition in found.conditions if condition.type == "Failed"] == [message]
    assert event == "\n".join((message, "It stood here, the innermost first:", *LINES))


def test_what_is_on_record_stays_when_pods_and_job_are_gone(rendered: Rendered) -> None:
    before, _ = status_after(told(Failure("KeyError", "nonsense"), rank=3, lines=LINES), rendered=rendered)
    job = a_job(before.model_dump(by_alias=True, mode="json", exclude_none=True))
    course = course_of(job, rendered, [CHECKED])
    after = status_of(job, rendered, course, port=20001, progress=None, now=NOW)
    assert after.failures == before.failures
    assert happenings(job.status, after, course) == []


def test_lines_of_the_newest_failure_alone_are_kept(rendered: Rendered) -> None:
    older = {"attempt": 1, "reason": "Unknown", "message": "m", "lastLines": list(LINES)}
    job = a_job({"attempt": 2, "failures": [older]})
    course = course_of(job, rendered, [an_attempt(2, told(Failure("a", "b"), lines=LINES), state="Failed")])
    found = status_of(job, rendered, course, port=20001, progress=None, now=NOW)
    assert [len(failure.last_lines) for failure in found.failures] == [0, len(LINES)]


def test_an_event_has_the_last_of_many_lines(rendered: Rendered) -> None:
    lines = [f"{number} " + "x" * 190 for number in range(MOST_LINES)]
    _, event = status_after(told(Failure("a", "b"), lines=lines), rendered=rendered)
    assert len(event) <= LONGEST_EVENT
    assert event.splitlines()[2:] == lines[-4:]


def test_a_trainer_of_another_version_cannot_say_more_than_a_status_takes(rendered: Rendered) -> None:
    found, _ = status_after(told(Failure("a", "b" * 5000), lines=["x" * 5000] * 50), rendered=rendered)
    (failure,) = found.failures
    assert (len(failure.last_lines), len(failure.last_lines[0])) == (MOST_LINES, LONGEST_LINE)
