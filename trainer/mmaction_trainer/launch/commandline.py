"""``mmaction-trainer``: the words of its command line."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from mmaction_trainer.contract import pod
from mmaction_trainer.contract.errors import Failure
from mmaction_trainer.contract.quantity import in_bytes
from mmaction_trainer.contract.run import Rendezvous

from .hanging import FLOOR


class CommandLineFailure(Failure):
    """The command line is wrong."""

    exit_code = 2


class Parser(argparse.ArgumentParser):
    """A parser that raises, so that a wrong command line is told where every other failure is."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise CommandLineFailure("command line", message, do=f"See {self.prog} --help.")


@dataclass(frozen=True)
class Options:
    """What the command line says.

    Args:
        run_dir: holds config.py and run.json; everything else is written there.
        source: folder that these two are copied from first; None where they are in place.
        attempt: which attempt this is; None where run.json says it.
        rendezvous: where its ranks meet; None where run.json says it.
        preflight: check only what can be checked without GPUs.
        node_rank: which node this is, from 0.
        cache: folder of videos and checkpoints, shared by all runs on this machine.
        cache_limit: bytes that its videos may take; None for what the disk has.
        grace: seconds that ranks have to stop by themselves.
        meet_within: seconds to wait for the other nodes.
        patience: seconds in which storage that fails is given the results again.
        hang_after: seconds without progress that no rank is ended before.
    """

    run_dir: Path
    source: Path | None
    attempt: int | None
    rendezvous: Rendezvous | None
    preflight: bool
    node_rank: int
    cache: Path
    cache_limit: int | None
    grace: float
    meet_within: float
    patience: float
    hang_after: float


def options_of(argv: Sequence[str] | None) -> Options:
    """Read the command line.

    Raises:
        CommandLineFailure: it is wrong.
    """
    parser = Parser(prog="mmaction-trainer", description="One attempt of a job on one node.")
    parser.add_argument("run_dir", type=Path, help="folder with config.py and run.json")
    parser.add_argument("--from", dest="source", type=Path, help="folder that these two are copied from first")
    parser.add_argument("--attempt", type=int, help="which attempt this is, where run.json is every attempt's")
    parser.add_argument("--rendezvous", type=rendezvous, metavar="HOST:PORT", help="where its ranks meet, likewise")
    parser.add_argument("--preflight", action="store_true", help="check storage, data and checkpoint, and end")
    parser.add_argument("--node-rank", type=int, default=os.environ.get(pod.NODE_RANK, "0"), help="from 0")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="videos and checkpoints of this machine")
    parser.add_argument(
        "--cache-limit",
        type=size,
        default=os.environ.get(pod.CACHE_LIMIT) or None,
        help="bytes of videos in it, such as 200Gi; default: what the disk has",
    )
    parser.add_argument("--grace", type=float, default=60.0, help="seconds that ranks have to stop by themselves")
    parser.add_argument("--meet-within", type=float, default=900.0, help="seconds to wait for the other nodes")
    parser.add_argument("--patience", type=float, default=600.0, help="seconds to try again where storage fails")
    parser.add_argument(
        "--hang-after",
        type=float,
        default=os.environ.get(pod.HANG_AFTER, str(FLOOR)),
        help="seconds without progress that no rank is ended before, whatever its steps take; inf for never",
    )
    return Options(**vars(parser.parse_args(argv)))


def rendezvous(text: str) -> Rendezvous:
    """HOST:PORT.

    Raises:
        ArgumentTypeError: it is something else.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f'found "{text}"; accepted: HOST:PORT, such as job-0.job.team.svc:20000')
    return Rendezvous(host=host, port=int(port))


def size(text: str) -> int:
    """Bytes, as Kubernetes writes them.

    Raises:
        ArgumentTypeError: it is something else.
    """
    try:
        return in_bytes(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f'found "{text}"; accepted: bytes, such as 200Gi or 500G') from None


def default_cache() -> Path:
    """``$TRAINJOB_CACHE``, else ``mmaction-operator`` in the user's cache folder."""
    if folder := os.environ.get(pod.CACHE):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "mmaction-operator"
