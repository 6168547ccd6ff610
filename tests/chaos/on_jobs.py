"""Disturbances of one training: its processes, its pods, its port, and what its user does."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from mmaction_operator.ports import PortRange, choose, start_of
from tests.cluster.cgroups import ROOT

from .drawing import Round
from .endings import unfinished_uploads
from .scene import Part, Target
from .stage import Disturbance, Stage

SLOW = 1000
"""KB/s: at this, a checkpoint of 18 MB is under way for long enough."""
ROOM = 32 << 20
"""Bytes that a container may still take when it is to run out of memory."""
TAKES = 512 << 20
"""And that somebody in it takes."""
HOLD = "import socket, sys, time; s = socket.create_server(('0.0.0.0', int(sys.argv[1]))); time.sleep(600)"
HOG = """\
import os, sys, time
for path in sys.argv[2:]:
    open(path, "w").write(str(os.getpid()))
held = b"x" * int(sys.argv[1])
time.sleep(600)
"""


def send(part: Part, number: signal.Signals, at: Stage, round_: Round) -> str:
    """Send a signal to a process."""
    target = at.target(part, round_)
    os.kill(target.process.pid, number)
    return str(target)


def kill_while_it_sends(at: Stage, round_: Round) -> str:
    """Kill a launcher in the middle of a checkpoint that it sends in parts; so that there is one, the way is slow."""

    def sending() -> list[Target]:
        jobs = {upload.job for upload in unfinished_uploads(at.scene.cluster.s3, at.scene.namespace)}
        return [each for each in at.scene.targets("launcher") if each.job in jobs]

    at.scene.storage.add("bandwidth", towards="server", rate=SLOW)
    try:
        target = round_.of(at.wait_for(sending))
        at.meet(target.job, round_)
        os.kill(target.process.pid, signal.SIGKILL)
    finally:
        at.scene.storage.mend()
    return str(target)


def delete_pod(at: Stage, round_: Round) -> str:
    """Delete a pod, as somebody does who has no idea what runs in it."""
    target = at.target("launcher", round_)
    at.scene.ask("DELETE", at.scene.path("pods", target.pod["metadata"]["name"]))
    return str(target)


def evict_pod(at: Stage, round_: Round) -> str:
    """Evict a pod, as a drain of its node does."""
    target = at.target("launcher", round_)
    named = {"name": target.pod["metadata"]["name"], "namespace": at.scene.namespace}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": named}
    at.scene.ask("POST", f"{at.scene.path('pods', named['name'])}/eviction", eviction)
    return str(target)


def suspend(at: Stage, round_: Round) -> str:
    """Suspend a job for a while."""
    job = at.job(round_)
    was = job.where
    for value in (True, False):
        change = {"spec": {"suspend": value}}
        patch = {"Content-Type": "application/merge-patch+json"}
        at.scene.ask("PATCH", at.scene.path("trainjobs", job.name), change, **patch)
        if value:
            at.rest(round_.lasts)
    return f"{job.name} ({was}), for {round_.lasts} s"


def delete_job(at: Stage, round_: Round) -> str:
    """Delete a job."""
    job = at.job(round_)
    at.stream.delete(job)
    return f"{job.name} ({job.where})"


def take_port(at: Stage, round_: Round) -> str:
    """Have something foreign listen where a job's next attempt would, on every node, and the next attempt begin."""

    def on_its_nodes_network() -> list[Target]:
        return [each for each in at.scene.targets("launcher") if each.pod["spec"].get("hostNetwork")]

    target = round_.of(at.wait_for(on_its_nodes_network))
    at.meet(target.job, round_)
    port = choose(PortRange(), {}, start=start_of(f"{target.uid}-{target.attempt + 1}"))
    holders = [
        subprocess.Popen(node.command("python3", "-c", HOLD, str(port)), stderr=subprocess.DEVNULL)
        for node in at.scene.cluster.nodes
    ]
    try:
        at.scene.ask("DELETE", at.scene.path("pods", target.pod["metadata"]["name"]))
        at.rest(2 * round_.lasts)
    finally:
        for holder in holders:
            end(holder)
    return f"port {port}, for attempt {target.attempt + 1} of {target.job}"


def run_out_of_memory(at: Stage, round_: Round) -> str:
    """Let a container have little more memory than it has, and take that from inside: the kernel kills the largest."""
    target = at.target("rank", round_)
    with limited(memory_of(target.process.pid)) as hog:
        deadline = time.monotonic() + 10
        while Path(f"/proc/{target.process.pid}").exists() and hog.poll() is None and time.monotonic() < deadline:
            at.rest(0.5)
    return str(target)


@contextmanager
def limited(group: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A cgroup with a limit that is too low for who joins it, for as long as the body runs."""
    second = (group / "cgroup.controllers").exists()
    limit, usage, none = (
        ("memory.max", "memory.current", "max") if second else ("memory.limit_in_bytes", "memory.usage_in_bytes", "-1")
    )
    (group / limit).write_text(str(int((group / usage).read_text()) + ROOM))
    hog = subprocess.Popen(["python3", "-c", HOG, str(TAKES), str(group / "cgroup.procs")])
    try:
        yield hog
    finally:
        end(hog)
        if group.exists():
            (group / limit).write_text(none)


def memory_of(pid: int) -> Path:
    """The folder of the cgroup that counts a process's memory."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        if controllers == "memory":
            return ROOT / "memory" / path.lstrip("/")
        if number == "0" and (ROOT / "cgroup.controllers").exists():
            return ROOT / path.lstrip("/")
    raise RuntimeError(f"no cgroup counts the memory of {pid}")


def end(process: subprocess.Popen[Any]) -> None:
    """End a process that was started here."""
    process.kill()
    process.wait()


DISTURBANCES: dict[str, Disturbance] = {
    "rank killed": partial(send, "rank", signal.SIGKILL),
    "rank terminated": partial(send, "rank", signal.SIGTERM),
    "launcher killed": partial(send, "launcher", signal.SIGKILL),
    "launcher killed while it sends": kill_while_it_sends,
    "pod deleted": delete_pod,
    "pod evicted": evict_pod,
    "job suspended": suspend,
    "job deleted": delete_job,
    "port taken": take_port,
    "memory ran out": run_out_of_memory,
}
