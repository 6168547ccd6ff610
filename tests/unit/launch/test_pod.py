"""The launcher as the command of a pod: what is mounted, how it stops, and what it leaves however it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mmaction_trainer.contract import pod
from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.errors import CollectiveFailure, ConfigFailure, Interrupted
from mmaction_trainer.contract.progress import Progress
from mmaction_trainer.contract.result import Result
from mmaction_trainer.contract.run import Rendezvous, Run
from mmaction_trainer.launch.stopping import Stopped, StopRequest
from tests.run_folders import free_port

from .conftest import Pod, config_map

Wait = Callable[[Callable[[], bool]], None]


class TestWhatIsMounted:
    @pytest.mark.parametrize("name", [layout.CONFIG, layout.RUN])
    def test_a_file_that_is_not_there_is_named(self, a_pod: Pod, name: str) -> None:
        mounted = config_map(a_pod.root / "mounted", a_pod.told())
        mounted.chmod(0o755)
        (mounted / name).unlink()
        code, output, result = a_pod.run("--preflight", "--from", mounted, a_pod.run_dir)
        assert code == ConfigFailure.exit_code
        assert f"Config: {mounted / name}: no such file; accepted: a folder with config.py and run.json" in output
        assert result.error
        assert result.error.where == str(mounted / name)

    def test_a_run_folder_that_is_not_there_is_made_and_what_is_mounted_is_copied(self, a_pod: Pod) -> None:
        run = a_pod.told()
        below = a_pod.root / "some" / "where"
        mounted = a_pod.mounted(run)
        code, output, result = a_pod.run("--preflight", "--from", mounted, below)
        assert code == 0, output
        assert Run.read(below / layout.RUN) == Run.read(mounted / layout.RUN)
        assert not (below / layout.CONFIG).is_symlink()
        assert result == Result.read(below / layout.RESULT)
        assert (result.outcome, result.port, result.node_rank) == ("Succeeded", run.rendezvous.port, 0)
        progress = Progress.read(below / layout.PROGRESS)
        assert (progress.stage, progress.message) == ("Done", "Preflight passed")

    def test_the_command_line_says_which_attempt_this_is_and_where_it_meets(self, a_pod: Pod) -> None:
        run = a_pod.told(nodes=2)
        mounted = config_map(a_pod.root / "mounted", run)
        port = free_port()
        told = ("--attempt=3", f"--rendezvous=localhost:{port}")
        code, output, result = a_pod.run("--from", mounted, *told, a_pod.run_dir, "--node-rank=1", "--meet-within=0.1")
        assert code == CollectiveFailure.exit_code, output
        assert result.port == port
        assert f"no launcher answers at localhost:{port}" in output
        written = Run.read(a_pod.run_dir / layout.RUN)
        assert (written.job.rendezvous_id, written.rendezvous.port) == (f"{run.job.uid}-3", port)
        assert Run.read(mounted / layout.RUN) == run

    @pytest.mark.parametrize("place", ["host", ":20000", "host:", "host:http", "host:0", "host:65536"])
    def test_a_rendezvous_that_is_none_is_refused(self, a_pod: Pod, place: str) -> None:
        code, output, _ = a_pod.run(f"--rendezvous={place}", a_pod.run_dir)
        assert code == 2
        assert f'argument --rendezvous: found "{place}"; accepted: HOST:PORT' in output


class TestHoweverItEnds:
    def test_a_second_node_tells_its_rank(self, a_pod: Pod) -> None:
        run = a_pod.told(nodes=2)
        a_pod.environment[pod.NODE_RANK] = "1"
        mounted = config_map(a_pod.root / "mounted", run)
        code, output, result = a_pod.run("--from", mounted, a_pod.run_dir, "--meet-within=0.1")
        assert code == CollectiveFailure.exit_code, output
        assert (result.outcome, result.node_rank, result.world_size) == ("Failed", 1, 2)
        assert result.error
        assert result.error.message.startswith("rendezvous: no launcher answers at 127.0.0.1:")
        assert not (a_pod.run_dir / layout.RESULT).exists(), "the first node's alone"

    def test_an_exception_that_nobody_expected_is_unknown_and_traced(self, a_pod: Pod) -> None:
        a_pod.run_dir.mkdir()
        (a_pod.run_dir / "data").write_text("a file where a folder is made")
        code, output, result = a_pod.run("--from", config_map(a_pod.root / "m", a_pod.told()), a_pod.run_dir)
        assert code == 1
        assert "Traceback" in output
        assert result.error
        assert (result.error.failure, result.error.exit_code, result.error.where) == ("Unknown", 1, "FileExistsError")
        assert str(a_pod.run_dir / "data") in result.error.message
        assert Result.read(a_pod.run_dir / layout.RESULT) == result

    def test_a_wrong_command_line_is_told_too(self, a_pod: Pod) -> None:
        code, output, result = a_pod.run(a_pod.run_dir, "--node-rank=first")
        assert code == 2
        assert result.error
        assert (result.error.failure, result.error.exit_code) == ("Unknown", 2)
        assert "argument --node-rank: invalid int value: 'first'" in result.error.message
        assert "Traceback" not in output

    def test_a_message_that_cannot_be_written_changes_nothing(self, a_pod: Pod) -> None:
        a_pod.environment[pod.TERMINATION_LOG] = str(a_pod.root / "no" / "such" / "folder")
        process = a_pod.start(a_pod.run_dir)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == ConfigFailure.exit_code
        assert f"{pod.TERMINATION_LOG}={a_pod.root}/no/such/folder: the outcome is not written there" in output

    def test_a_failure_is_told_before_its_logs_are_sent(self, a_pod: Pod, wait_until: Wait) -> None:
        """Storage hangs; whoever kills the pod meanwhile finds why it failed."""
        with hanging_server() as address:
            a_pod.environment |= {
                "AWS_ENDPOINT_URL": address,
                "AWS_ACCESS_KEY_ID": "access",
                "AWS_SECRET_ACCESS_KEY": "secret",
            }
            run = a_pod.told(config_sha256="0" * 64, results_uri="s3://results/team")
            process = a_pod.start("--from", config_map(a_pod.root / "mounted", run), a_pod.run_dir)
            wait_until(lambda: bool(a_pod.message.read_bytes()))
            assert process.poll() is None, "it still tries to send the logs"
            process.kill()
            process.communicate()
        error = a_pod.result().error
        assert error
        assert error.failure == "Config"


@contextmanager
def hanging_server() -> Iterator[str]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


class TestStopping:
    def interrupted(self, a_pod: Pod, process: subprocess.Popen[str], signum: int) -> str:
        """Signal the launcher; it ends soon, as Interrupted. Its message."""
        process.send_signal(signum)
        output, _ = process.communicate(timeout=20)
        assert process.returncode == Interrupted.exit_code, output
        error = a_pod.result().error
        assert error
        assert (error.failure, error.exit_code) == ("Interrupted", Interrupted.exit_code)
        return error.message

    def test_a_signal_before_there_is_a_run_is_told(self, a_pod: Pod, wait_until: Wait) -> None:
        """run.json is a pipe that nobody writes to: the launcher hangs where it reads what it is told."""
        mounted = a_pod.root / "mounted"
        mounted.mkdir()
        (mounted / layout.CONFIG).write_bytes(b"")
        os.mkfifo(mounted / layout.RUN)
        process = a_pod.start("--from", mounted, a_pod.run_dir)
        wait_until(lambda: (a_pod.run_dir / layout.CONFIG).exists())
        self.interrupted(a_pod, process, signal.SIGINT)
        assert (a_pod.result().results_uri, a_pod.result().port) == ("", 0)

    def test_a_launcher_that_waits_for_other_nodes_stops_at_once(self, a_pod: Pod, wait_until: Wait) -> None:
        process = a_pod.start("--from", config_map(a_pod.root / "m", a_pod.told(nodes=2)), a_pod.run_dir)
        path = a_pod.run_dir / layout.PROGRESS
        wait_until(lambda: path.exists() and Progress.read(path).stage == "Starting")
        assert self.interrupted(a_pod, process, signal.SIGTERM) == "run: stopped as asked before training began"

    def test_a_preflight_in_the_middle_of_a_request_stops_at_once(self, a_pod: Pod, wait_until: Wait) -> None:
        """botocore catches every Exception there, and asks again."""
        with hanging_server() as address:
            a_pod.environment |= {
                "AWS_ENDPOINT_URL": address,
                "AWS_ACCESS_KEY_ID": "access",
                "AWS_SECRET_ACCESS_KEY": "secret",
            }
            mounted = config_map(a_pod.root / "mounted", a_pod.told(results_uri="s3://results/team"))
            process = a_pod.start("--preflight", "--from", mounted, a_pod.run_dir)
            wait_until(lambda: has_a_connection(process.pid))
            self.interrupted(a_pod, process, signal.SIGTERM)

    def test_while_ranks_run_a_signal_leaves_the_file_that_they_look_for(self, tmp_path: Path) -> None:
        stop = StopRequest()
        with stop.by_file(tmp_path / layout.STOP):
            stop(signal.SIGTERM, None)
        assert (tmp_path / layout.STOP).exists()
        stop(signal.SIGTERM, None)
        assert stop.asked, "and does not end what comes after them"

    def test_when_the_outcome_is_known_a_signal_changes_it_no_more(self) -> None:
        stop = StopRequest()
        stop.over = True
        stop(signal.SIGTERM, None)

    def test_a_signal_that_was_lost_in_a_finalizer_is_found_later(self) -> None:
        stop = StopRequest()
        with pytest.raises(Stopped):
            stop(signal.SIGTERM, None)
        with pytest.raises(Stopped):
            stop.check()


def has_a_connection(pid: int) -> bool:
    """Whether a process holds a TCP connection that is established."""
    try:
        lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
        sockets = {os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()}  # noqa: PTH115
    except OSError:
        return False
    established = {f"socket:[{line.split()[9]}]" for line in lines if line.split()[3] == "01"}
    return bool(sockets & established)


class TestTheNameOfTheFirstNode:
    def test_a_name_that_never_resolves_is_told_with_its_port(self, a_pod: Pod) -> None:
        run = a_pod.told(nodes=2, rendezvous=Rendezvous(host="job-0.job.nowhere.invalid", port=20123))
        mounted = config_map(a_pod.root / "mounted", run)
        code, _, result = a_pod.run("--from", mounted, a_pod.run_dir, "--node-rank=1", "--meet-within=0.1")
        assert code == CollectiveFailure.exit_code
        assert result.error
        assert "no address for the host of job-0.job.nowhere.invalid:20123: " in result.error.message
        assert "service of that name" in result.error.message

    def test_a_name_that_resolves_later_is_waited_for_and_the_first_node_needs_none(self, a_pod: Pod) -> None:
        """Two processes; the second one's resolver knows the name after its third question, as DNS might."""
        run = a_pod.told(nodes=2)
        run = run.model_copy(update={"rendezvous": Rendezvous(host="job-0.job.default.svc", port=run.rendezvous.port)})
        meet = (
            "import json, socket, sys\n"
            "from mmaction_trainer.contract.run import Run\n"
            "from mmaction_trainer.launch.meeting import meet\n"
            "asked, resolve = [], socket.getaddrinfo\n"
            "def late(host, *rest, **more):\n"
            "    asked.append(host)\n"
            "    if len(asked) > 3 and sys.argv[2] == '1':\n"
            "        return resolve('127.0.0.1', *rest, **more)\n"
            "    raise socket.gaierror(socket.EAI_NONAME, 'Name or service not known')\n"
            "socket.getaddrinfo = late\n"
            "meet(Run.model_validate_json(sys.argv[1]), int(sys.argv[2]), within=30)\n"
            "print(json.dumps(asked))\n"
        )
        nodes = [
            subprocess.Popen([sys.executable, "-c", meet, run.to_json(), str(rank)], stdout=subprocess.PIPE, text=True)
            for rank in (0, 1)
        ]
        outputs = [process.communicate(timeout=60)[0] for process in nodes]
        assert [process.returncode for process in nodes] == [0, 0]
        assert json.loads(outputs[0]) == []
        assert json.loads(outputs[1])[:4] == ["job-0.job.default.svc"] * 4
