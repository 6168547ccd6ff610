"""Two jobs that meet on one port never train as one.

With torchrun's own defaults they do: two jobs with one endpoint and the default rendezvous id form one world, and both
exit 0. Here both measured ways to get there are replayed, against the launcher and against the ranks alone.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.errors import CollectiveFailure, IdentityFailure
from mmaction_trainer.contract.result import FailureReport
from tests.run_folders import a_run, a_run_folder, free_port


def torchrun(folder: Path, *options: str) -> subprocess.Popen[str]:
    """A torchrun that knows nothing of leases, starting our ranks in ``folder``."""
    words = ["-m", "torch.distributed.run", "--nproc-per-node=1", "--max-restarts=0", *options]
    return subprocess.Popen(
        [sys.executable, *words, "-m", "mmaction_trainer.runtime.worker"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def reports(folder: Path) -> list[FailureReport]:
    return [FailureReport.read(path) for path in (folder / layout.FAILURES).glob("*.json")]


def both_refuse(tmp_path: Path, options: list[list[str]], port: int) -> None:
    folders = [a_run_folder(tmp_path / uid, a_run(uid, port=port)) for uid in ("a", "b")]
    started = [torchrun(folder, *words) for folder, words in zip(folders, options, strict=True)]
    for process in started:
        output, _ = process.communicate(timeout=240)
        assert process.returncode != 0, output
    failures = [report for folder in folders for report in reports(folder)]
    assert failures, "no rank said why it left"
    assert {report.exit_code for report in failures} == {IdentityFailure.exit_code}
    assert any("belong to another job" in report.message for report in failures)
    assert not any((folder / layout.METRICS).exists() for folder in folders)


def test_ranks_refuse_a_dynamic_rendezvous_shared_by_two_jobs_under_the_default_id(tmp_path: Path) -> None:
    port = free_port()
    words = ["--nnodes=2", "--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{port}"]
    both_refuse(tmp_path, [words, words], port)


def test_ranks_refuse_a_static_rendezvous_of_two_jobs_with_complementary_node_ranks(tmp_path: Path) -> None:
    port = free_port()
    words = ["--nnodes=2", "--master-addr=127.0.0.1", f"--master-port={port}"]
    both_refuse(tmp_path, [[*words, "--node-rank=0"], [*words, "--node-rank=1"]], port)


def test_launchers_of_two_jobs_with_one_port_never_reach_torchrun(tmp_path: Path) -> None:
    port = free_port()
    first, second = (a_run(uid, port=port, nodes=2) for uid in ("a", "b"))
    code = (
        "import sys; from pathlib import Path; from mmaction_trainer.contract.errors import Failure\n"
        "from mmaction_trainer.contract.run import Run; from mmaction_trainer.launch.meeting import meet\n"
        "try: meet(Run.read(Path(sys.argv[1])), int(sys.argv[2]), within=5)\n"
        "except Failure as failure: print(failure); sys.exit(failure.exit_code)"
    )
    processes = []
    for rank, run in enumerate((first, second)):
        folder = a_run_folder(tmp_path / run.job.uid, run)
        processes.append(subprocess.Popen([sys.executable, "-c", code, folder / layout.RUN, str(rank)]))
    assert [process.wait(60) for process in processes] == [CollectiveFailure.exit_code, IdentityFailure.exit_code]
