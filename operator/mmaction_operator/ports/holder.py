"""Who holds a lease: what stands in its lock file, for the people and runs that meet it."""

from __future__ import annotations

import os
import pwd
import socket
from datetime import datetime
from typing import Self

from mmaction_trainer.contract.document import Document
from mmaction_trainer.contract.run import JobIdentity


class Holder(Document):
    """The job that a lease is for, and the process that took it.

    The process may be gone while a training that it started holds on; the job is then still the right name.
    """

    job: JobIdentity
    pid: int
    user: str
    host: str
    since: datetime

    @classmethod
    def of(cls, job: JobIdentity, now: datetime) -> Self:
        """This process as the holder for ``job``; ``now`` carries its time zone."""
        return cls(job=job, pid=os.getpid(), user=_user(), host=socket.gethostname(), since=now)

    def __str__(self) -> str:
        since = self.since.isoformat(timespec="seconds")
        return f"{self.job.namespace}/{self.job.name} (pid {self.pid} of {self.user} on {self.host}, since {since})"


def _user() -> str:
    # Not getpass: it believes $USER before the kernel, and a container's uid often has no name.
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid {os.geteuid()}"
