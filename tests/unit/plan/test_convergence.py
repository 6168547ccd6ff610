"""Whatever the order, repetition, loss or lateness of what a controller sees, and wherever it is killed: what it says
and what it makes follow from what has happened in the cluster, as if it had seen each thing at once.

Here runs the real reconciler, with the real client, stores and leases, on a cluster in memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmaction_operator.kube import Key, KubeError
from mmaction_operator.plan import names
from tests.trainjob_cases import changed

from .cluster import WATCHED, Cluster, Killed, Object, Process
from .life import DONE, GONE, LOST_PEER, NAMESPACE, TAKEN, Attempt, End, Life, Story, has_ended

PORT, EVICTED, NODE_LOST = End("free", 13, says=True), End("free", 137, "Evicted"), End("free", why="NodeLost")
STORAGE, SILENT = End("charged", 12, says=True), End("charged", 139)
DATA, MEMORY, DISK = End("never", 11, says=True), End("never", 137, "OOMKilled"), End("never", 18)

FIRST_WAIT = timedelta(seconds=10)
UIDS = {"a": "uid-5667", "b": "uid-11724"}
"""Found by trial: the search for a port begins at the same one for all attempts of both: only leases part them."""

Seen = tuple[dict[str, Any], list[tuple[str, str]]]
"""What a status says, and kinds and names of a job's objects."""


class Guard:
    """Looks at each object that the controller makes, before it is there: what must hold at every moment."""

    def __init__(self, cluster: Cluster, lives: Mapping[str, Life]) -> None:
        self.cluster, self.lives = cluster, lives
        self.ports: dict[tuple[str, int], int] = {}
        cluster.made = self.made

    def made(self, kind: str, item: Object) -> None:
        """Told of an object."""
        if kind not in ("jobs", "pods"):
            return
        life, attempt = self.lives[item["metadata"]["labels"][names.JOB]], attempt_of(item)
        assert not life.finished, "a job that is over gets an object"
        if kind == "pods":
            assert not any(job == life.key.name for job, _ in self.ports), "it is checked after training has begun"
            return
        port, status = port_of(item), life.trainjob.get("status", {})
        known = status.get("port") if status.get("attempt") == attempt else None
        assert known in (port, None), "an attempt has not the port that is on record"
        assert attempt == 1 or known, "an attempt is made before the failure of the one before is on record"
        self.ports[life.key.name, attempt] = port
        for job in self.cluster.all("jobs"):
            if not has_ended(job):
                assert job["metadata"]["labels"][names.JOB] != life.key.name, "two attempts are alive"
                assert port_of(job) != port, "two jobs have one port"
        for number in range(1, attempt):
            assert life.story.attempt(number).end != PORT or self.ports[life.key.name, number] != port, "a port again"
        self.waited(life, attempt)

    def waited(self, life: Life, attempt: int) -> None:
        """An attempt after one that failed by itself waits, each time twice as long."""
        before = [life.story.attempt(number).end.counts for number in range(1, attempt)]
        if before and before[-1] == "charged":
            wait = FIRST_WAIT * 2 ** (before.count("charged") - 1)
            assert self.cluster.now >= life.ended[attempt - 1] + wait, "an attempt begins too soon"


def attempt_of(item: Object) -> int:
    """Which attempt a Job or pod is of."""
    return int(item["metadata"]["labels"][names.ATTEMPT])


def port_of(job: Object) -> int:
    """The port of a Job."""
    return int(job["metadata"]["annotations"][names.PORT])


class Play:
    """Jobs in a cluster, each with its story, and a controller."""

    def __init__(self, stories: Mapping[str, Story]) -> None:
        self.cluster = Cluster()
        for name, story in stories.items():
            manifest = changed({f"spec.{field}": value for field, value in story.spec.items()})
            manifest["metadata"] |= {"name": name, "namespace": NAMESPACE, "uid": UIDS[name], "generation": 1}
            self.cluster.put("trainjobs", manifest)
        self.lives = {name: Life(self.cluster, Key(NAMESPACE, name), story) for name, story in stories.items()}
        self.guard = Guard(self.cluster, self.lives)
        self.process = Process(self.cluster)

    def reconcile(self, name: str) -> float | None:
        """One turn of the controller. What fails is done again, by another process if need be."""
        try:
            return self.process.reconcile(Key(NAMESPACE, name))
        except KubeError:
            return 0.0
        except Killed:
            self.process = Process(self.cluster)
            return 0.0

    def settle(self) -> None:
        """Let the controller see everything and come to rest, as long as that takes."""
        self.cluster.trouble.clear()
        for _ in range(12):
            before = self.cluster.changes
            for kind in WATCHED:
                self.process.see(kind)
            wait = max(self.reconcile(name) or 0.0 for name in self.lives)
            self.cluster.later(wait)
            if not wait and before == self.cluster.changes:
                return
        raise AssertionError("the controller does not come to rest")

    def seen(self, name: str) -> Seen:
        """What the controller says of a job, and what there is of it."""
        mine = [
            (kind, item["metadata"]["name"]) for (kind, _), item in self.cluster.objects.items() if is_of(item, name)
        ]
        return said(self.lives[name].trainjob), sorted(mine)


def is_of(item: Object, name: str) -> bool:
    """Whether an object is a job's."""
    return bool(item["metadata"].get("labels", {}).get(names.JOB) == name)


def said(trainjob: Object) -> dict[str, Any]:
    """What a status says, without times and ports: these depend on when things happen, and on what else there is."""
    status = json.dumps(trainjob.get("status", {}), sort_keys=True)
    status = re.sub(r'("(?:lastTransitionTime|ended)": )"[^"]*"', r'\1""', status)
    found: dict[str, Any] = json.loads(re.sub(r'("port": |on port )\d+', r"\g<1>0", status))
    return found


def seen_at_once(name: str, story: Story) -> list[Seen]:
    """What is said, and there, after each step of a story of which the controller sees each step at once."""
    play, found = Play({name: story}), list[Seen]()
    while True:
        play.settle()
        found.append(play.seen(name))
        if not play.lives[name].step():
            assert play.lives[name].over, f"after {len(found) - 1} steps, the controller does not act: {found[-1]}"
            assert (found[-1][0]["phase"], found[-1][0].get("attempt")) == outcome(story)
            return found


def outcome(story: Story) -> tuple[str, int | None]:
    """How a job ends by the rules that users are told: its phase, and the last attempt."""
    if any(end.counts in ("charged", "never") and end.stays for end in story.checks):
        return "Failed", None
    charged = 0
    for number, attempt in enumerate([*story.attempts, Attempt()], start=1):
        charged += attempt.end.counts == "charged"
        if attempt.end.counts == "success":
            return "Succeeded", number
        if attempt.end.counts == "never" or charged > story.spec["backoffLimit"]:
            return "Failed", number
    raise AssertionError("a story ends")


ATTEMPTS = st.builds(
    Attempt,
    end=st.sampled_from([DONE, PORT, EVICTED, NODE_LOST, STORAGE, SILENT, LOST_PEER, GONE, TAKEN, DATA, MEMORY, DISK]),
    peer=st.sampled_from([LOST_PEER, GONE]),
    first=st.integers(0, 1),
    removed=st.sampled_from([None, None, None, 0, 1, 2, 3]),
    cleared=st.sampled_from(["", "", "pods", "jobs"]),
)
CHECKS = st.sampled_from([(DONE,), (DONE,), (DONE,), (EVICTED, DONE), (GONE, DONE), (DATA,), (STORAGE,)])


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """What may happen to a job."""
    spec: dict[str, Any] = {"backoffLimit": draw(st.integers(0, 2)), "preflight": draw(st.booleans())}
    attempts = draw(st.lists(ATTEMPTS, max_size=4))
    if draw(st.booleans()):
        spec["resources"] = {"nodes": 2}
    else:
        attempts = [replace(attempt, first=0) for attempt in attempts]
    return Story(spec, draw(CHECKS) if spec["preflight"] else (), tuple(attempts))


NAMES = st.sampled_from("ab")
MOVES = {
    "step": NAMES,
    "see": st.tuples(st.sampled_from(WATCHED), st.integers(1, 4)),
    "reconcile": NAMES,
    "wait": st.sampled_from([1, 9, 30]),
    "nothing": st.none(),
    "trouble": st.sampled_from(["lost", "unanswered", "killed", "killed afterwards"]),
    "restart": st.none(),
    "settle": st.none(),
    "successor": st.fixed_dictionaries({kind: st.integers(0, 9) for kind in WATCHED}),
}


@dataclass(frozen=True)
class Course:
    """How it goes, turn by turn.

    Args:
        steps: every how many turns something happens.
        sees: every how many turns each kind is seen.
        acts: every how many turns each job is reconciled.
        moves: what else happens, one in each turn, from the begin again after the last.
    """

    steps: Mapping[str, int]
    sees: Mapping[str, int]
    acts: Mapping[str, int]
    moves: tuple[tuple[str, Any], ...]


def rhythms(names: Iterable[str], often: list[int]) -> st.SearchStrategy[dict[str, int]]:
    """How often something is done with each of these."""
    return st.fixed_dictionaries({name: st.sampled_from(often) for name in names})


MOVE = st.sampled_from(sorted(MOVES)).flatmap(lambda name: st.tuples(st.just(name), MOVES[name]))
COURSES = st.builds(
    Course,
    steps=rhythms("ab", [1, 2, 4, 8]),
    sees=rhythms(WATCHED, [1, 1, 2, 3, 8, 21]),
    acts=rhythms("ab", [1, 1, 2, 5, 13]),
    moves=st.lists(MOVE, min_size=1, max_size=30).map(tuple),
)
TURNS = 100


@given(told=st.fixed_dictionaries({"a": stories()}, optional={"b": stories()}), course=COURSES)
@settings(max_examples=300, deadline=None, derandomize=True)  # the same in every run: a failure is never by chance
def test_what_is_said_and_made_follows_from_what_has_happened(told: dict[str, Story], course: Course) -> None:
    at_once = {name: seen_at_once(name, story) for name, story in told.items()}
    play = Play(told)
    for turn in range(TURNS):
        take_turn(play, course, turn, at_once)
    while not all(life.over for life in play.lives.values()):
        check(play, at_once)
        for life in play.lives.values():
            life.step()
    check(play, at_once)


def take_turn(play: Play, course: Course, turn: int, at_once: Mapping[str, list[Seen]]) -> None:
    """What happens in a turn."""
    for name, life in play.lives.items():
        if turn % course.steps[name] == 0:
            life.step()
    for kind in WATCHED:
        if turn % course.sees[kind] == 0:
            play.process.see(kind)
    for name in play.lives:
        if turn % course.acts[name] == 0:
            play.reconcile(name)
    match course.moves[turn % len(course.moves)]:
        case ("step", name) if name in play.lives:
            play.lives[name].step()
        case ("see", (kind, most)):
            play.process.see(kind, most)
        case ("reconcile", name) if name in play.lives:
            play.reconcile(name)
        case ("wait", seconds):
            play.cluster.later(seconds)
        case ("trouble", what):
            play.cluster.trouble.append(what)
        case ("restart", _):
            play.process = Process(play.cluster)
        case ("successor", behind):
            play.process = Process(play.cluster, behind)
        case ("settle", _):
            check(play, at_once)


def check(play: Play, at_once: Mapping[str, list[Seen]]) -> None:
    """At rest, what is said and there is what has happened so far leads to, and every port is on record."""
    play.settle()
    for name, life in play.lives.items():
        assert play.seen(name) == at_once[name][life.steps]
        status = life.trainjob.get("status", {})
        for job in play.cluster.all("jobs"):
            if is_of(job, name) and attempt_of(job) == status.get("attempt"):
                assert port_of(job) == status["port"], "another port is on record"


@pytest.mark.parametrize("trouble", ["", "unanswered", "killed afterwards"])
def test_a_job_is_not_begun_anew_by_who_has_yet_to_see_the_word_that_it_is_over(trouble: str) -> None:
    play = Play({"a": Story({"backoffLimit": 0, "preflight": False})})
    life = play.lives["a"]
    while not life.over and not any(map(has_ended, play.cluster.all("jobs"))):
        play.settle()
        life.step()
    for kind in ("jobs", "pods"):
        play.process.see(kind)
    play.cluster.trouble.append(trouble)
    play.reconcile("a")
    assert life.finished
    if trouble == "killed afterwards":
        play.process = Process(play.cluster, {"trainjobs": 1})
    (job,) = play.cluster.all("jobs")
    play.cluster.remove("jobs", Key.of(job))
    for kind in ("jobs", "pods"):
        play.process.see(kind)
    for _ in range(3):
        play.reconcile("a")
    assert not play.cluster.all("jobs")
    play.settle()
    assert said(life.trainjob)["phase"] == "Succeeded"


def test_a_port_is_leased_that_a_deposed_process_gave_out_last() -> None:
    play = Play({name: Story({"backoffLimit": 0, "preflight": False}) for name in "ab"})
    successor = Process(play.cluster)
    successor.reconcile(Key(NAMESPACE, "none"))  # has taken back the leases
    play.reconcile("a")
    successor.see("jobs")
    for name in "ab":
        successor.reconcile(Key(NAMESPACE, name))
    assert len(set(map(port_of, play.cluster.all("jobs")))) == 2


def test_a_job_goes_on_after_its_cluster_was_restored_from_a_backup_with_lower_versions() -> None:
    play = Play({"a": Story({"backoffLimit": 0, "preflight": False})})
    life = play.lives["a"]
    play.settle()
    play.cluster.changes = 0
    for (kind, _), item in list(play.cluster.objects.items()):
        play.cluster.put(kind, item)
    play.process.relist()
    while life.step():
        for _ in range(3):
            play.cluster.later(60)
            for kind in WATCHED:
                play.process.see(kind)
            play.reconcile("a")
    assert said(life.trainjob)["phase"] == "Succeeded"


def test_nothing_is_made_for_a_job_that_was_deleted_as_its_status_was_written() -> None:
    play = Play({"a": Story({"backoffLimit": 0, "preflight": False})})
    job = play.lives["a"].key
    play.reconcile("a")
    play.process.see("jobs")
    play.cluster.later(1)
    play.cluster.trouble.append("unanswered")
    play.reconcile("a")
    play.cluster.remove("trainjobs", job)
    play.process.see("jobs")
    assert play.reconcile("a")
    assert not play.cluster.all("jobs")


def test_a_status_is_written_once_where_changes_come_in_a_flock() -> None:
    play = Play({"a": Story({"backoffLimit": 0, "preflight": True}, checks=(DONE,))})
    life, told = play.lives["a"], list[bool]()
    play.reconcile("a")
    for steps, wait in ((2, 10), (2, 0), (0, 0), (0, 1)):
        for _ in range(steps):
            life.step()
        play.cluster.later(wait)
        for kind in WATCHED:
            play.process.see(kind)
        play.reconcile("a")
        told.append("status" in life.trainjob)
    assert told == [False, False, False, True]
    assert play.cluster.all("jobs")


def test_a_job_that_is_suspended_ends_its_attempt_and_begins_it_anew_once_resumed() -> None:
    play = Play({"a": Story({"backoffLimit": 0, "preflight": False})})
    life = play.lives["a"]
    play.settle()
    assert life.step()
    play.settle()
    suspend(play, suspended=True)
    play.settle()
    assert (said(life.trainjob)["phase"], "port" in life.trainjob["status"]) == ("Suspended", False)
    assert not [item for item in play.cluster.all("jobs") if is_of(item, "a")]
    suspend(play, suspended=False)
    play.settle()
    (job,) = play.cluster.all("jobs")
    assert (attempt_of(job), port_of(job)) == (1, life.trainjob["status"]["port"])
    conditions = {c["type"]: (c["status"], c["reason"]) for c in life.trainjob["status"]["conditions"]}
    assert conditions["Suspended"] == ("False", "Resumed")


def suspend(play: Play, *, suspended: bool) -> None:
    """Somebody changes the field of every job."""
    for key in [life.key for life in play.lives.values()]:
        stored = play.cluster.objects["trainjobs", key]
        play.cluster.change("trainjobs", key, spec={**stored["spec"], "suspend": suspended})


def test_a_job_that_is_suspended_from_the_begin_has_nothing_made() -> None:
    play = Play({"a": Story({"backoffLimit": 0, "preflight": True, "suspend": True}, checks=(DONE,))})
    play.settle()
    assert said(play.lives["a"].trainjob)["phase"] == "Suspended"
    assert not play.cluster.all("pods")
    assert not play.cluster.all("configmaps")


def test_a_job_of_another_controller_is_left_alone() -> None:
    play = Play({"a": Story({"backoffLimit": 0, "managedBy": "kueue.x-k8s.io/multikueue"})})
    play.settle()
    assert play.cluster.changes == 1


def test_what_a_job_had_is_removed_after_its_time_and_the_job_never_begun_again() -> None:
    play = Play({"a": Story({"backoffLimit": 0, "preflight": True, "ttlSecondsAfterFinished": 60}, checks=(DONE,))})
    life = play.lives["a"]
    while not life.finished:
        for kind in WATCHED:
            play.process.see(kind)
        play.reconcile("a")
        life.step()
    status = life.trainjob["status"]
    for seconds, left in ((59, True), (1, False)):
        play.cluster.later(seconds)
        play.process = Process(play.cluster)  # as it is forgotten by nobody who was not there
        play.reconcile("a")
        kinds = {kind for kind, _ in play.cluster.objects}
        assert ({"pods", "jobs", "configmaps"} <= kinds, bool(kinds & {"pods", "jobs", "configmaps"})) == (left, left)
    play.settle()
    assert not play.cluster.all("jobs")
    assert life.trainjob["status"] == status


def test_a_job_whose_data_lies_on_somebodys_machine_fails_before_anything_is_made() -> None:
    play = Play({"a": Story({"dataset": {"uri": "actions", "format": "ucf101"}})})
    play.settle()
    status = play.lives["a"].trainjob["status"]
    (failed,) = [condition for condition in status["conditions"] if condition["type"] == "Failed"]
    assert (status["phase"], failed["reason"]) == ("Failed", "Config")
    assert failed["message"].startswith("spec.dataset.uri: actions is a path of a machine")
    assert {kind for kind, _ in play.cluster.objects} == {"trainjobs", "events"}
