"""What a status says, and which events a change of it is told by."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mmaction_operator.api.status import TrainJobStatus
from mmaction_operator.plan import course_of, happenings, status_of
from mmaction_operator.plan.observed import attempt_seen, pod_seen
from mmaction_operator.plan.run import identity_of, run_of
from mmaction_operator.plan.status import duration
from mmaction_operator.render import Rendered, render
from mmaction_trainer.contract import errors
from mmaction_trainer.contract.checkpoints import Resumed
from mmaction_trainer.contract.errors import ConfigFailure
from mmaction_trainer.contract.progress import Best, Progress, Stage
from mmaction_trainer.contract.result import Score
from mmaction_trainer.contract.run import Protocol, Rendezvous, Run

from .conftest import CHECKED, NOW, a_job, a_pod, a_result, an_attempt, ended, failed_as

PROGRESS = Progress(
    stage="Training",
    observed_at=NOW,
    epoch=3,
    epochs=8,
    loss=1.5,
    top1=0.25,
    best=Best(top1=0.5, epoch=2),
    eta_seconds=7985,
)


def status(rendered: Rendered | ConfigFailure, attempts: list[Any], before: Any = None, **rest: Any) -> TrainJobStatus:
    job = a_job(before)
    course = course_of(job, rendered, attempts)
    return status_of(job, rendered, course, **{"port": 20001, "progress": None, "now": NOW} | rest)


def conditions(found: TrainJobStatus) -> dict[str, tuple[str, str]]:
    return {condition.type: (condition.status, condition.reason) for condition in found.conditions}


def test_a_config_that_does_not_render_is_told_with_its_field() -> None:
    found = status(ConfigFailure("spec.model.config", "no such"), [])
    assert found.phase == "Failed"
    assert conditions(found) == {"Validated": ("False", "Config"), "Failed": ("True", "Config")}
    assert "spec.model.config" in found.conditions[1].message


def test_a_job_that_trains_shows_how_far_it_is(rendered: Rendered) -> None:
    found = status(rendered, [CHECKED, an_attempt(1, a_pod(), a_pod(1, node="node-2"))], progress=PROGRESS)
    assert (found.phase, found.port, found.attempt, found.nodes) == ("Running", 20001, 1, ["node-1", "node-2"])
    assert found.progress
    assert (found.progress.epoch, found.progress.best and found.progress.best.top1) == (3, 0.5)
    assert found.progress.eta == "2h13m"
    assert (found.effective_lr, found.config_sha256) == (rendered.effective_lr, rendered.sha256)


@pytest.mark.parametrize(
    ("stage", "phase"),
    [
        ("Preparing", "Starting"),
        ("Starting", "Starting"),
        ("Training", "Running"),
        ("Validating", "Running"),
        ("Testing", "Testing"),
        ("Uploading", "Testing"),
        ("Done", "Running"),
    ],
)
def test_the_phase_goes_forward_with_what_the_trainer_says(rendered: Rendered, stage: Stage, phase: str) -> None:
    said = PROGRESS.model_copy(update={"stage": stage})
    assert status(rendered, [CHECKED, an_attempt(1, a_pod())], progress=said).phase == phase


def test_scores_carry_the_protocol_that_they_were_measured_by(rendered: Rendered) -> None:
    val = Score(protocol=Protocol(clips=1, crops=1), top1=0.5, top5=0.75)
    test = Score(protocol=Protocol(clips=10, crops=3), top1=0.625, top5=1.0)
    left = a_result(val=val, test=test, manifest_sha256="ab")
    found = status(rendered, [CHECKED, an_attempt(1, ended(0, result=left), state="Complete")])
    assert found.phase == "Succeeded"
    assert found.results
    assert found.results.manifest_sha256 == "ab"
    assert found.results.test
    assert (found.results.test.protocol.clips, found.results.test.protocol.crops, found.results.test.top1) == (
        10,
        3,
        0.625,
    )


@pytest.mark.parametrize(
    ("waiting", "reason", "says"),
    [
        (("Unschedulable", "0/2 nodes are available"), "Unschedulable", "spec.resources"),
        (("CreateContainerConfigError", 'secret "s3" not found'), "CreateContainerConfigError", "credentialsSecret"),
        (("ImagePullBackOff", "no such image"), "ImagePullBackOff", "spec.pods.image"),
    ],
)
def test_a_pod_that_waits_says_for_what_and_what_to_do(
    waiting: tuple[str, str], reason: str, says: str, rendered: Rendered
) -> None:
    found = status(rendered, [CHECKED, an_attempt(1, a_pod(phase="Pending", node=None, waiting=waiting))])
    assert found.phase == "Pending"
    assert conditions(found)["Running"] == ("False", reason)
    assert waiting[1] in found.conditions[-1].message
    assert says in found.conditions[-1].message


def test_a_job_that_makes_no_pods_says_where_to_look(rendered: Rendered) -> None:
    found = status(rendered, [CHECKED, an_attempt(1)])
    assert conditions(found)["Running"] == ("False", "NoPods")
    assert "kubectl describe job job-1" in found.conditions[-1].message


def test_a_condition_keeps_the_time_since_when_it_holds(rendered: Rendered) -> None:
    first = status(rendered, [CHECKED, an_attempt(1, a_pod())])
    later = NOW + timedelta(hours=1)
    before = first.model_dump(mode="json", by_alias=True, exclude_none=True)
    again = status(rendered, [CHECKED, an_attempt(1, a_pod())], before, now=later)
    assert again == first
    over = status(rendered, [CHECKED, an_attempt(1, ended(0), state="Complete")], before, now=later)
    times = {condition.type: condition.last_transition_time for condition in over.conditions}
    assert (times["Validated"], times["Running"], times["Complete"]) == (NOW, later, later)


def told(before: TrainJobStatus | None, rendered: Rendered, attempts: list[Any]) -> dict[str, bool]:
    """Reasons of the events of a change, and whether they warn."""
    course = course_of(a_job(), rendered, attempts)
    now = status_of(a_job(), rendered, course, port=20001, progress=None, now=NOW)
    return {happening.reason: happening.warning for happening in happenings(before, now, course)}


def test_each_change_is_told_once(rendered: Rendered) -> None:
    begun = status(rendered, [])
    checked = status(rendered, [CHECKED])
    trains = status(rendered, [CHECKED, an_attempt(1, a_pod())])
    assert told(begun, rendered, [CHECKED]) == {}
    assert told(checked, rendered, [CHECKED, an_attempt(1, a_pod())]) == {}
    assert told(trains, rendered, [CHECKED, an_attempt(1, a_pod())]) == {}
    assert told(trains, rendered, [CHECKED, an_attempt(1, ended(0), state="Complete")]) == {"Succeeded": False}


def test_a_port_that_was_taken_and_a_failed_attempt_are_told_apart(rendered: Rendered) -> None:
    trains = status(rendered, [CHECKED, an_attempt(1, a_pod())])
    taken = an_attempt(1, failed_as(errors.PortFailure), state="Failed")
    lost = an_attempt(1, failed_as(errors.CollectiveFailure), state="Failed")
    full = an_attempt(1, failed_as(errors.DiskFailure), state="Failed")
    assert told(trains, rendered, [CHECKED, taken]) == {"PortConflict": True}
    assert told(trains, rendered, [CHECKED, lost]) == {"AttemptFailed": True}
    assert told(trains, rendered, [CHECKED, full]) == {"JobFailed": True}


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0s"), (59.6, "1m0s"), (61, "1m1s"), (7985, "2h13m"), (90_000, "1d1h")]
)
def test_times_are_written_as_kubectl_writes_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_kubelets_word_is_read_whatever_else_a_pod_holds() -> None:
    pod = {
        "metadata": {"uid": "u", "name": "n", "annotations": {"batch.kubernetes.io/job-completion-index": "3"}},
        "spec": {"nodeName": "node-1"},
        "status": {
            "phase": "Failed",
            "containerStatuses": [
                {"state": {"terminated": {"exitCode": 13, "reason": "Error", "message": "no JSON {{ $(x)"}}}
            ],
        },
    }
    seen = pod_seen(pod)
    assert (seen.index, seen.exit_code, seen.result, seen.reason, seen.runs) == (3, 13, None, "", False)
    assert pod_seen({"metadata": {"uid": "u", "name": "n"}}).phase == "Pending"


def test_an_attempt_is_not_over_while_a_pod_of_it_is_seen_to_run() -> None:
    failed = {"type": "Failed", "status": "True", "lastTransitionTime": NOW.isoformat()}
    metadata = {"uid": "u", "name": "job-1", "labels": {"mmaction.dev/attempt": "1"}}
    job = {"metadata": metadata, "spec": {"completions": 2}, "status": {"conditions": [failed]}}
    for peer, state, unheard in ((a_pod(1), "Active", 1), (ended(16, index=1, phase="Failed"), "Failed", 0)):
        seen = attempt_seen(job, [ended(12), peer])
        assert (seen.state, seen.unheard) == (state, unheard)


def test_who_waits_in_a_queue_says_in_which(rendered: Rendered) -> None:
    for queue, said in (("research", "Kueue's queue research"), ("", "somebody suspended the Job job-1")):
        held = status(rendered, [CHECKED, replace(an_attempt(1), queue=queue)])
        running = next(condition for condition in held.conditions if condition.type == "Running")
        assert (held.phase, running.reason, said in running.message) == ("Pending", "Queued", True)


@pytest.mark.parametrize("heard", [{}, {"progress": {"epoch": 5, "eta": "9s", "best": {"top1": 0.5, "epoch": 4}}}])
def test_a_job_that_is_complete_has_trained_all_its_epochs_though_its_last_posts_were_lost_or_all(
    rendered: Rendered, heard: dict[str, Any]
) -> None:
    val = Score(protocol=Protocol(clips=1, crops=1), top1=0.9, top5=1.0, epoch=7)
    over = [CHECKED, an_attempt(1, ended(0, result=a_result(val=val)), state="Complete")]
    found = status(rendered, over, {"attempt": 1, **heard}).progress
    assert found
    assert (found.epoch, found.epochs, found.eta) == (rendered.epochs, rendered.epochs, None)
    assert found.best
    assert (found.best.top1, found.best.epoch) == (0.9, 7)


@pytest.mark.parametrize("stage", ["Training", "Testing"])
def test_a_controller_that_starts_leaves_the_phase_until_it_hears_of_a_training(
    rendered: Rendered, stage: Stage
) -> None:
    attempts = [CHECKED, an_attempt(1, a_pod())]
    before = status(rendered, attempts, progress=PROGRESS.model_copy(update={"stage": stage}))
    known = before.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert status(rendered, attempts, known) == before
    another = [CHECKED, an_attempt(1, failed_as(errors.PortFailure), state="Failed"), an_attempt(2, a_pod())]
    assert status(rendered, another, known).phase == "Starting"


def test_an_attempt_of_which_a_pod_failed_says_which_others_it_waits_for(rendered: Rendered) -> None:
    """As long as the node of one does not answer, nobody knows whether it still trains."""
    pods = (failed_as(errors.CollectiveFailure), a_pod(1, node="gpu-7"))
    found = status(rendered, [CHECKED, an_attempt(1, *pods)])
    running = next(condition for condition in found.conditions if condition.type == "Running")
    assert (running.status, running.reason) == ("False", "Ending")
    assert "job-1-1 on gpu-7" in running.message


def test_an_attempt_says_from_where_it_went_on_and_the_next_one_does_not_repeat_it(rendered: Rendered) -> None:
    attempts = [CHECKED, an_attempt(1, failed_as(errors.PortFailure), state="Failed"), an_attempt(2, a_pod())]
    said = PROGRESS.model_copy(update={"resumed": Resumed(attempt=1, epoch=2, iteration=250)})
    found = status(rendered, attempts, {"attempt": 2}, progress=said)
    assert found.resumed_from
    assert (found.resumed_from.attempt, found.resumed_from.epoch, found.resumed_from.iteration) == (1, 2, 250)
    known = found.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert status(rendered, attempts, known).resumed_from == found.resumed_from
    third = [*attempts[:2], an_attempt(2, failed_as(errors.PortFailure), state="Failed"), an_attempt(3, a_pod())]
    assert status(rendered, third, known).resumed_from is None


def test_a_suspended_job_says_how_far_it_was_and_no_time_that_is_left(rendered: Rendered) -> None:
    attempts = [CHECKED, an_attempt(1, a_pod())]
    known = status(rendered, attempts, progress=PROGRESS).model_dump(mode="json", by_alias=True, exclude_none=True)
    job = a_job(known, suspend=True)
    held = status_of(job, rendered, course_of(job, rendered, attempts), port=20001, progress=PROGRESS, now=NOW)
    assert held.phase == "Suspended"
    assert held.progress
    assert (held.progress.epoch, held.progress.eta) == (3, None)


def test_accuracies_have_the_digits_that_a_table_has_room_for(rendered: Rendered) -> None:
    progress = PROGRESS.model_copy(update={"top1": 26 / 30, "best": Best(top1=26 / 30, epoch=2)})
    found = status(rendered, [CHECKED, an_attempt(1, a_pod())], progress=progress).progress
    assert found
    assert found.best
    assert (found.top1, found.best.top1) == (0.8667, 0.8667)


ONLY: dict[str, Any] = {"evaluation": {"only": True}, "model.pretrained": "s3://weights/mine.pth"}


def test_a_job_that_only_tests_is_never_said_to_train() -> None:
    job = a_job(**ONLY)
    alone = render(job)
    told = Progress(stage="Testing", observed_at=NOW, iteration=12, iterations=378)
    attempts = [CHECKED, an_attempt(1, a_pod())]
    found = status_of(job, alone, course_of(job, alone, attempts), port=20001, progress=told, now=NOW)
    assert (found.phase, found.effective_lr, found.config_sha256) == ("Testing", None, alone.sha256)
    assert found.progress
    assert (found.progress.epoch, found.progress.epochs, found.progress.top1) == (None, None, None)
    run = run_of(job, alone, identity_of(job), Rendezvous(port=20001))
    assert (run.trains, run.epochs, run.effective_lr, run.val_protocol) == (False, 0, None, None)
    assert run.data.test_alone
    assert Run.model_validate_json(run.to_json()) == run


def test_its_table_has_the_accuracy_of_the_test_though_its_last_word_was_lost() -> None:
    job = a_job(
        {"phase": "Testing", "attempt": 1, "progress": {"iteration": 12, "iterations": 378}},
        **ONLY,
    )
    alone = render(job)
    score = Score(protocol=Protocol(clips=10, crops=3), top1=0.96087, top5=0.9952)
    attempts = [CHECKED, an_attempt(1, ended(0, result=a_result(test=score)), state="Complete")]
    found = status_of(job, alone, course_of(job, alone, attempts), port=20001, progress=None, now=NOW)
    assert found.progress
    assert (found.phase, found.progress.top1, found.progress.epoch, found.progress.best) == (
        "Succeeded",
        0.9609,
        None,
        None,
    )
    assert found.results
    assert (found.results.val, found.results.test and found.results.test.top1) == (None, 0.96087)
