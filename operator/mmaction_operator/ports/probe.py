"""Whether a port is in use by something that takes no leases.

The kernel's answer to one bind is not enough. A bind without SO_REUSEADDR also fails on what a finished training
leaves in TIME_WAIT, where torchrun's own bind would succeed; a bind with it succeeds beside a socket that is bound
and does not listen yet. So the strict answer counts, unless the other is yes and sockets in
TIME_WAIT alone explain the difference.
"""

from __future__ import annotations

import errno
import socket
from pathlib import Path

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
TIME_WAIT = "06"
NO_SUCH_FAMILY = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)


def in_use(port: int) -> bool:
    """Whether anything on this machine's interfaces, IPv4 or IPv6, keeps a server from binding ``port``."""
    if _binds(port, reuse=False):
        return False
    return not (_binds(port, reuse=True) and _states(port) == {TIME_WAIT})


def _binds(port: int, *, reuse: bool) -> bool:
    return all(_binds_family(family, port, reuse=reuse) for family in (socket.AF_INET, socket.AF_INET6))


def _binds_family(family: socket.AddressFamily, port: int, *, reuse: bool) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            if reuse:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("", port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        if family == socket.AF_INET6 and error.errno in NO_SUCH_FAMILY:
            return True  # a machine without IPv6: nothing can hold the port there
        raise
    return True


def _states(port: int) -> set[str]:
    """TCP states of the sockets whose local port this is; one that is bound and no more is in no table."""
    suffix = f":{port:04X}"
    states = set()
    for table in TABLES:
        if not table.exists():
            continue
        for line in table.read_text(encoding="ascii").splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            if local.endswith(suffix):
                states.add(state)
    return states
