"""The ranks of this node: one torchrun, and what became of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.errors import CollectiveFailure, Failure, MemoryFailure, PortFailure
from mmaction_trainer.contract.result import FailureReport
from mmaction_trainer.contract.run import Run

from .memory import oom_kills

ENDED_BY_SIGNAL = re.compile(r"rank\s*:\s*(\d+)[^\n]*\n\s*exitcode\s*:\s*-(\d+)\b")
ROOT_CAUSE = "Root Cause"
"""What torchrun prints above the rank that failed first, below those that failed then."""
PORT_TAKEN = re.compile(r"EADDRINUSE|Address already in use")


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


def environment(run: Run) -> dict[str, str]:
    """The ranks' environment: this one, with CPU threads shared among the processes of the node."""
    threads = max(1, len(os.sched_getaffinity(0)) // run.world.processes_per_node)
    return {"OMP_NUM_THREADS": str(threads), **os.environ, "PYTHONUNBUFFERED": "1"}


def train(
    run: Run, run_dir: Path, node_rank: int, *, grace: float, stopping: Callable[[], bool], lease_fds: tuple[int, ...]
) -> None:
    """Run torchrun to its end.

    Args:
        run: what this attempt was told.
        run_dir: the working directory of every rank.
        node_rank: which node this is, from 0.
        grace: seconds that ranks have to stop by themselves once ``stopping`` says so.
        stopping: whether the run was asked to stop.
        lease_fds: file descriptors of leases that the ranks keep alive.

    Raises:
        Failure: of the class of the rank that failed first.
    """
    oom_kills_before = oom_kills()
    output = run_dir / layout.LOGS / f"torchrun-node-{node_rank}.log"
    output.parent.mkdir(exist_ok=True)
    process = subprocess.Popen(
        command(run, node_rank),
        cwd=run_dir,
        env=environment(run),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=lease_fds,
        start_new_session=True,
    )
    copier = copy_output(process, output)
    try:
        watch(process, grace=grace, stopping=stopping)
    finally:
        end(process)
        copier.wait()
    if process.returncode:
        memory_ran_out = None if oom_kills_before is None else oom_kills() != oom_kills_before
        raise cause(run_dir / layout.FAILURES, output.read_text(errors="replace"), memory_ran_out)


def copy_output(process: subprocess.Popen[bytes], path: Path) -> subprocess.Popen[bytes]:
    """Let ``tee`` copy torchrun's output to a file and to this process's output, outside any Python thread."""
    return subprocess.Popen(["tee", str(path)], stdin=process.stdout)


def watch(process: subprocess.Popen[bytes], *, grace: float, stopping: Callable[[], bool]) -> None:
    """Wait for torchrun; once asked to stop, for at most ``grace`` seconds more."""
    deadline = None
    while process.poll() is None:
        if deadline is None and stopping():
            deadline = time.monotonic() + grace
        if deadline is not None and time.monotonic() > deadline:
            return
        time.sleep(0.1)


def end(process: subprocess.Popen[bytes]) -> None:
    """See that torchrun and every rank is gone: first asked, then killed, as one session."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def cause(reports: Path, output: str, memory_ran_out: bool | None = None) -> Failure:
    """The failure of the rank that failed first.

    When a rank dies, its peers fail too, as they lose it: a report of another class than Collective comes first.

    Args:
        reports: the folder where ranks leave their failures.
        output: what torchrun and the ranks printed.
        memory_ran_out: whether the kernel killed processes here meanwhile to have memory; None where that is not known.
    """
    found = [(file.stat().st_mtime_ns, FailureReport.read(file)) for file in reports.glob("rank-*.json")]
    found.sort(key=lambda item: (item[1].failure == CollectiveFailure.name, item[0]))
    if found and found[0][1].failure != CollectiveFailure.name:
        return found[0][1].cause
    if ended := ended_by_signal(output):
        return of_signal(*ended, memory_ran_out)
    if not found and PORT_TAKEN.search(output):
        return PortFailure("rendezvous", "the port was taken between the probe and torchrun")
    if found:
        return found[0][1].cause
    lines = [line for line in output.splitlines() if line.strip(" =-")]
    return Failure("torchrun", lines[-1][:400] if lines else "ended without a word", do="The log has the rest.")


def ended_by_signal(output: str) -> tuple[int, int] | None:
    """The rank that a signal ended, and its number: not one that torchrun told to end, where another was before it."""
    others, _, first = output.partition(ROOT_CAUSE)
    found = [(int(rank), int(number)) for part in (first, others) for rank, number in ENDED_BY_SIGNAL.findall(part)]
    return min(found, key=lambda each: each[1] == signal.SIGTERM, default=None)


def of_signal(rank: int, number: int, memory_ran_out: bool | None) -> Failure:
    """The failure of a rank that a signal ended."""
    name = {each.value: each.name for each in signal.Signals}.get(number, f"signal {number}")
    where = f"rank {rank}"
    if number == signal.SIGKILL and memory_ran_out is not False:
        what = "the kernel killed it as" if memory_ran_out else "killed, as the kernel does when"
        return MemoryFailure(where, f"{what} memory ran out", do=MemoryFailure.remedy)
    if number == signal.SIGKILL:
        return Failure(where, "killed by SIGKILL, and not for memory", do="Somebody did, or the machine's own.")
    return Failure(where, f"crashed: {name}", do="The log has its last lines; a video may have crashed decord.")
