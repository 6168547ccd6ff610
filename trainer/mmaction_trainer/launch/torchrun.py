"""The ranks of this node: one torchrun, and what became of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.errors import HangFailure
from mmaction_trainer.contract.heartbeat import beat_of
from mmaction_trainer.contract.run import Run

from . import hanging, last_lines, stacks
from .causes import Output, cause
from .hanging import STARTING, Hang, Quiet
from .interfaces import interface_of
from .memory import oom_kills

SECONDS_BETWEEN_BEATS = 1.0
"""Between two looks at what the ranks say."""
TO_END = 3.0
"""Seconds that a rank which hangs has to end by itself."""


def command(run: Run, node_rank: int) -> list[str]:
    """torchrun's command line: static rendezvous on the leased port, which also serves the ranks' store.

    One port, ranks in the order of the nodes, and a rendezvous id that no other attempt has. torchrun restarts
    nothing itself: an attempt is the unit that is tried again.
    """
    return [
        sys.executable,
        "-m",
        "torch.distributed.run",
        f"--nnodes={run.world.nodes}",
        f"--nproc-per-node={run.world.processes_per_node}",
        f"--node-rank={node_rank}",
        "--rdzv-backend=static",
        f"--rdzv-id={run.job.rendezvous_id}",
        f"--master-addr={run.rendezvous.host}",
        f"--master-port={run.rendezvous.port}",
        "--max-restarts=0",
        f"--log-dir={layout.LOGS}",
        "--tee=3",
        "-m",
        "mmaction_trainer.runtime.worker",
    ]


def environment(run: Run, address: str | None = None) -> dict[str, str]:
    """The ranks' environment: this one, with CPU threads shared among the processes of the node.

    Gloo tells other nodes the address that the machine's own name leads to. Where pods use their node's network that is
    often the loopback's, so it is told the interface on which the nodes have met.
    """
    threads = max(1, len(os.sched_getaffinity(0)) // run.world.processes_per_node)
    interface = interface_of(address) if address else None
    gloo = {"GLOO_SOCKET_IFNAME": interface} if interface else {}
    return {"OMP_NUM_THREADS": str(threads), **gloo, **os.environ, "PYTHONUNBUFFERED": "1"}


def train(
    run: Run,
    run_dir: Path,
    node_rank: int,
    *,
    address: str | None,
    grace: float,
    hang_after: float,
    awaiting: Callable[[], bool],
    stopping: Callable[[], bool],
    lease_fds: tuple[int, ...],
) -> None:
    """Run torchrun to its end, or end it where its ranks hang.

    Args:
        run: what this attempt was told.
        run_dir: the working directory of every rank.
        node_rank: which node this is, from 0.
        address: of this node, at which others meet it; None where there are none.
        grace: seconds that ranks have to stop by themselves once ``stopping`` says so.
        hang_after: seconds without progress that no rank is ended before.
        awaiting: whether ranks may be waiting for something that is still on its way; that time does not count.
        stopping: whether the run was asked to stop.
        lease_fds: file descriptors of leases that the ranks keep alive.

    Raises:
        Failure: of the class of the rank that failed first; CollectiveFailure where one hung.
    """
    oom_kills_before = oom_kills()
    path = run_dir / layout.LOGS / f"torchrun-node-{node_rank}.log"
    path.parent.mkdir(exist_ok=True)
    process = subprocess.Popen(
        command(run, node_rank),
        cwd=run_dir,
        env=environment(run, address),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=lease_fds,
        start_new_session=True,
    )
    copier = copy_output(process, path)
    vigil = Vigil(run, run_dir, node_rank, hang_after, awaiting)
    try:
        hang = watch(process, vigil, grace=grace, stopping=stopping)
        failure = told(hang, run_dir, run.job.attempt) if hang else None
    finally:
        end(process, vigil.pids)
        copier.wait()
    if failure:
        raise failure
    if process.returncode:
        memory_ran_out = None if oom_kills_before is None else oom_kills() != oom_kills_before
        output = Output(path.read_text(errors="replace"), vigil.first_rank, os.environ)
        raise cause(run_dir / layout.FAILURES, output, memory_ran_out)


class Vigil:
    """Looks at what the ranks of a node say they do.

    Args:
        run: what this attempt was told.
        run_dir: the ranks' working directory.
        node_rank: which node this is, from 0.
        hang_after: seconds without progress that no rank is ended before.
        awaiting: whether it does not count now.
    """

    def __init__(
        self, run: Run, run_dir: Path, node_rank: int, hang_after: float, awaiting: Callable[[], bool] = lambda: False
    ) -> None:
        self.awaiting = awaiting
        self.run_dir, self.floor, self.alone = run_dir, hang_after, run.world.nodes == 1
        self.first_rank = node_rank * run.world.processes_per_node
        ranks = range(self.first_rank, self.first_rank + run.world.processes_per_node)
        self.ranks: dict[int, Quiet] = dict.fromkeys(ranks, STARTING)
        self.looked = time.monotonic()

    @property
    def pids(self) -> list[int]:
        """Processes of the ranks that have begun; each leads a group."""
        return [quiet.beat.pid for quiet in self.ranks.values() if quiet.beat.pid]

    def look(self) -> Hang | None:
        """Look, if it is time to; the ranks' hang, if they do."""
        now = time.monotonic()
        if now - self.looked < SECONDS_BETWEEN_BEATS:
            return None
        elapsed = 0.0 if self.awaiting() else now - self.looked
        for rank, quiet in self.ranks.items():
            self.ranks[rank] = quiet.next(beat_of(self.run_dir, rank), elapsed)
        self.looked = now
        return hanging.hang_of(self.ranks, floor=self.floor, alone=self.alone)


def copy_output(process: subprocess.Popen[bytes], path: Path) -> subprocess.Popen[bytes]:
    """Let ``tee`` copy torchrun's output to a file and to this process's output, outside any Python thread."""
    return subprocess.Popen(["tee", str(path)], stdin=process.stdout)


def watch(process: subprocess.Popen[bytes], vigil: Vigil, *, grace: float, stopping: Callable[[], bool]) -> Hang | None:
    """Wait for torchrun, or until its ranks hang; once asked to stop, for at most ``grace`` seconds more."""
    deadline = None
    while process.poll() is None:
        if deadline is None and stopping():
            deadline = time.monotonic() + grace
        if deadline is not None and time.monotonic() > deadline:
            return None
        if deadline is None and (hang := vigil.look()):
            return hang
        time.sleep(0.1)
    return None


def told(hang: Hang, run_dir: Path, attempt: int) -> HangFailure:
    """The failure of ranks that hang, once each has left where it stands in the logs."""
    print("The ranks get nowhere: each is asked where it stands, and ended.", flush=True)
    standings = stacks.collect(run_dir, {rank: quiet.beat.pid for rank, quiet in hang.ranks.items()}, attempt)
    states = {rank: found[0].state for rank, found in standings.items() if found}
    frames = {rank: stacks.innermost(found) for rank, found in standings.items()}
    shown = {rank: last_lines.last(lines, os.environ) for rank, lines in frames.items()}
    return hanging.explained(hang, states, shown)


def end(process: subprocess.Popen[bytes], ranks: Iterable[int]) -> None:
    """See that torchrun and every rank is gone, with the processes that load its data: first asked, then killed."""
    if process.poll() is not None:
        return
    signal_groups(ranks, signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=TO_END)
    signal_groups(ranks, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=TO_END)
    process.kill()
    process.wait()


def signal_groups(leaders: Iterable[int], signum: signal.Signals) -> None:
    """Send a signal to process groups, those that are still there."""
    for leader in leaders:
        with suppress(ProcessLookupError):
            os.killpg(leader, signum)
