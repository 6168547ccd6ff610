"""How a launcher ends: any exception as a failure, and the outcome where a pod's controller finds it."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from pathlib import Path
from typing import NoReturn

from mmaction_trainer.contract import pod
from mmaction_trainer.contract.errors import DiskFailure, Failure, Interrupted, MemoryFailure
from mmaction_trainer.contract.result import Result
from mmaction_trainer.contract.termination import termination_message
from mmaction_trainer.storage.failures import FULL

from .stopping import Stopped


def explain(error: BaseException, *, trained: bool = False) -> Failure:
    """The failure that an exception of the launcher stands for; of one that nobody expected, the log has the traceback.

    Args:
        error: the exception.
        trained: whether the ranks had run to their end.
    """
    match error:
        case Failure():
            return error
        case Stopped() if trained:
            return Interrupted("results", "stopped as asked before all of them were in storage")
        case Stopped():
            return Interrupted("run", "stopped as asked before training began")
        case OSError(errno=number) if number in FULL:
            return DiskFailure(str(error.filename or "disk"), (error.strerror or str(error)).lower(), do="Make room.")
        case MemoryError():
            return MemoryFailure("launcher", "host memory ran out", do="Give it more memory.")
    traceback.print_exception(error)
    lines = str(error).strip().splitlines()
    return Failure(type(error).__name__, lines[-1] if lines else "no message", do="The log has the traceback.")


def leave_message(result: Result) -> None:
    """Write the pod's termination message, in place as the file is a mount. What hinders that changes no outcome."""
    if not (path := os.environ.get(pod.TERMINATION_LOG)):
        return
    try:
        Path(path).write_bytes(termination_message(result))
    except OSError as error:
        print(f"{pod.TERMINATION_LOG}={path}: the outcome is not written there: {error.strerror}", flush=True)


def leave(code: int) -> NoReturn:
    """End, whatever a thread still waits for: all that is to be told is told, and Python would wait for it."""
    if threading.active_count() > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
