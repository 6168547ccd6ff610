"""What went wrong in a rank, in the product's terms."""

from __future__ import annotations

import errno
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mmaction_trainer.contract import errors
from mmaction_trainer.contract.errors import CollectiveFailure, ConfigFailure, DiskFailure, Failure, MemoryFailure
from mmaction_trainer.contract.run import CONFIG
from mmaction_trainer.contract.signs import sign_of

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
UNBUILDABLE = (AssertionError, AttributeError, ImportError, KeyError, TypeError, ValueError)
"""What MMEngine and MMAction2 raise of a config that makes no model; nothing that another attempt would mend."""
REPORTED = re.compile(rf"^{re.escape(errors.__name__)}\.(\w+): (.*)$", re.MULTILINE)
"""A failure as a traceback ends with it."""
LOST_PEER = ("Connection closed by peer", "Connection reset by peer", "NCCL", "gloo")


def classify(error: BaseException) -> Failure:
    """The failure that an exception of a rank stands for.

    An exception from a data-loading process arrives as text, with its own traceback at the end.
    """
    if isinstance(error, Failure):
        return error
    text = str(error)
    if reported := REPORTED.findall(text):
        return _reported(*reported[-1])
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        return DiskFailure(str(error.filename or "checkpoint"), "no space left", do="Free space and start again.")
    if told := sign_of(text):
        return told
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return MemoryFailure("memory", last_line(error), do=MemoryFailure.remedy)
    if isinstance(error, torch.distributed.DistError) or any(sign in text for sign in LOST_PEER):
        return CollectiveFailure("ranks", last_line(error), do="See which rank failed first, and why.")
    return Failure(type(error).__name__, last_line(error), do="The log has the traceback.")


@contextmanager
def as_config_failure() -> Iterator[None]:
    """Tell what MMEngine and MMAction2 raise in the body, where they build what the config says.

    Raises:
        ConfigFailure: it cannot be built.
    """
    try:
        yield
    except UNBUILDABLE as error:
        traceback.print_exc()
        raise of_the_config("cannot be built", error) from error


def of_the_config(what: str, error: Exception) -> ConfigFailure:
    """The failure of a config that says something which does not work."""
    return ConfigFailure(
        CONFIG,
        f"{what}: {type(error).__name__}: {last_line(error)}",
        do="See spec.overrides, where the config goes beyond the zoo's; the log has the traceback.",
    )


def _reported(name: str, sentence: str) -> Failure:
    """The failure that a data-loading process raised, by the last line of its traceback."""
    where, _, found = sentence.partition(": ")
    kind: type[Failure] = getattr(errors, name)
    return kind(where, found)


def last_line(error: BaseException) -> str:
    """The last line that an exception says, cut off after 400 characters; its type where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[-1][:400] if lines else type(error).__name__
