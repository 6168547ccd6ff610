"""What has to hold whatever happens, said of values alone: each function gives what does not, in sentences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from mmaction_operator.plan import names

Object = Mapping[str, Any]

NEVER = frozenset({"Config", "Data", "Identity", "Disk", "Device", "Deadline"})
"""Classes of failure that no disturbance explains: a job that was right is taken for wrong, or meets another."""


def is_live(job: Object) -> bool:
    """Whether a Job of Kubernetes may have pods that run."""
    conditions = job.get("status", {}).get("conditions", ())
    return not any(each["type"] in ("Complete", "Failed") and each["status"] == "True" for each in conditions)


def of_jobs(jobs: Iterable[Object]) -> Iterator[str]:
    """No TrainJob has two live Jobs, and no two live Jobs have one port."""
    by_owner, by_port = defaultdict(list), defaultdict(list)
    for job in filter(is_live, jobs):
        metadata = job["metadata"]
        by_owner[metadata["labels"][names.UID]].append(metadata["name"])
        by_port[metadata["annotations"][names.PORT]].append(metadata["name"])
    for live in by_owner.values():
        if len(live) > 1:
            yield f"one TrainJob has several live Jobs: {', '.join(sorted(live))}"
    for port, live in by_port.items():
        if len(live) > 1:
            yield f"port {port} is that of several live Jobs: {', '.join(sorted(live))}"


def of_processes(running: Iterable[tuple[str, int, str]]) -> Iterator[str]:
    """No TrainJob trains in two attempts at once, and no two attempts meet at one port.

    Args:
        running: of each launcher that runs, the TrainJob, the attempt, and the address of its rendezvous.
    """
    attempts, ports = defaultdict(set), defaultdict(set)
    for job, attempt, rendezvous in running:
        attempts[job].add(attempt)
        ports[rendezvous.rpartition(":")[2]].add((job, attempt))
    for job, numbers in attempts.items():
        if len(numbers) > 1:
            yield f"{job} runs in several attempts at once: {', '.join(map(str, sorted(numbers)))}"
    for port, users in ports.items():
        if len(users) > 1:
            several = ", ".join(f"attempt {attempt} of {job}" for job, attempt in sorted(users))
            yield f"port {port} is used by {several}"


def of_course(name: str, before: Object, now: Object) -> Iterator[str]:
    """A status goes on: no attempt comes again, no failure is forgotten, and what is over stays over.

    Of failures only the newest has its rank's last lines.
    """
    if now.get("attempt", 0) < before.get("attempt", 0):
        yield f"{name} is at attempt {now.get('attempt')} after {before['attempt']}"
    earlier, later = ([{**each, "lastLines": []} for each in one.get("failures", [])] for one in (before, now))
    if later[: len(earlier)] != earlier:
        yield f"{name} had other failures on record before: {earlier}, now {later}"
    if before.get("phase") in ("Succeeded", "Failed") and now.get("phase") != before["phase"]:
        yield f"{name} is {now.get('phase')} after it was {before['phase']}"


def of_end(name: str, status: Object, *, may_run_out_of_memory: bool) -> Iterator[str]:
    """A job ends with success, or of what it met where that ends one; every failure is of a class that is explained."""
    reason = next((each["reason"] for each in status["conditions"] if each["type"] == "Failed"), "")
    if status["phase"] != "Succeeded" and not (reason == "OutOfMemory" and may_run_out_of_memory):
        yield f"{name} is {status['phase']}: {reason}"
    for failure in status.get("failures", ()):
        if failure["reason"] in NEVER or (failure["reason"] == "OutOfMemory" and not may_run_out_of_memory):
            yield f"attempt {failure['attempt']} of {name} failed as {failure['reason']}, which nothing explains"


def of_record(name: str, lines: Sequence[Object], epochs: int) -> Iterator[str]:
    """A record has every epoch's validation once, in their order, one test, and steps that never go back."""
    validated = [line["epoch"] for line in lines if line["stage"] == "val"]
    if validated != list(range(1, epochs + 1)):
        yield f"{name} has validations of epochs {validated} on record, not of 1 to {epochs}"
    if (tests := sum(line["stage"] == "test" for line in lines)) != 1:
        yield f"{name} has {tests} tests on record"
    steps = [line["step"] for line in lines if line["stage"] == "train"]
    if any(later <= earlier for earlier, later in pairwise(steps)):
        yield f"{name} has steps on record that go back: {steps}"


def of_status(name: str, status: Object, lines: Sequence[Object]) -> Iterator[str]:
    """A status says what is on record."""
    best = max((line for line in lines if line["stage"] == "val"), key=lambda line: line["top1"], default={})
    test = next((line for line in lines if line["stage"] == "test"), {})
    for stage, recorded in (("val", best), ("test", test)):
        told = status.get("results", {}).get(stage, {})
        if [told.get(score) for score in ("top1", "top5")] != [recorded.get(score) for score in ("top1", "top5")]:
            yield f"{name} has other scores in its status than on record, of {stage}: {told}, {dict(recorded)}"


def of_storage(name: str, held: Collection[str], listed: Collection[str]) -> Iterator[str]:
    """Storage holds what a manifest lists, the manifest, and nothing else.

    Args:
        held: keys below the job's place.
        listed: paths in its manifest.
    """
    if orphans := sorted(set(held) - set(listed) - {"manifest.json"}):
        yield f"{name} has left what its manifest does not list: {', '.join(orphans[:5])} ({len(orphans)} in all)"
    if missing := sorted(set(listed) - set(held)):
        yield f"{name} lacks what its manifest lists: {', '.join(missing[:5])} ({len(missing)} in all)"
