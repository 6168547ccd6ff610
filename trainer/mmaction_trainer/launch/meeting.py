"""The launchers of a job meet on the leased port before torchrun does, and only they.

The first node's launcher binds the port: whatever else holds it on this machine is found here, and told apart from
every other failure by its exit code. With several nodes it then answers each of the others, which say which job and
attempt they belong to; a stranger is told so and leaves, and does not end the wait of those who belong here.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from mmaction_trainer.contract.errors import CollectiveFailure, IdentityFailure, PortFailure
from mmaction_trainer.contract.run import JobIdentity, Rendezvous, Run

SECONDS_FOR_A_LINE = 5.0
LONGEST_LINE = 4096


def meet(run: Run, node_rank: int, *, within: float) -> str | None:
    """Return once every node of this attempt has met the first one, leaving the port free for torchrun.

    Returns:
        The address of this node at which, or from which, it met another; None where it is the only one.

    Args:
        run: what this attempt was told.
        node_rank: which node this is, from 0.
        within: seconds to wait for the others.

    Raises:
        PortFailure: the port is held by something else on the first node's machine.
        IdentityFailure: the launcher on the leased port belongs to another job or attempt.
        CollectiveFailure: not all nodes came in time.
    """
    deadline = time.monotonic() + within
    return call(run, node_rank, deadline) if node_rank else receive(run, deadline)


def receive(run: Run, deadline: float) -> str | None:
    """Bind the port, and welcome every other node of this attempt; the address to which they came."""
    missing, address = set(range(1, run.world.nodes)), None
    with bound(run.rendezvous.port) as server:
        while missing:
            server.settimeout(max(deadline - time.monotonic(), 0.01))
            try:
                connection, _ = server.accept()
            except TimeoutError:
                raise CollectiveFailure(
                    "rendezvous", f"nodes {sorted(missing)} of {run.world.nodes} did not come", do="See their pods."
                ) from None
            with connection:
                if (node := answer(connection, run.job)) in missing:
                    missing.remove(node)
                    address = str(connection.getsockname()[0])
    return address


def answer(connection: socket.socket, job: JobIdentity) -> int:
    """Tell a caller who we are; its node rank if it is one of ours, else -1."""
    connection.settimeout(SECONDS_FOR_A_LINE)
    try:
        caller = json.loads(read_line(connection))
        connection.sendall((json.dumps({"job": str(job)}) + "\n").encode())
        return int(caller["node"]) if caller["job"] == str(job) else -1
    except (OSError, ValueError, KeyError, TypeError):
        return -1  # not a launcher


def call(run: Run, node_rank: int, deadline: float) -> str:
    """Ask the first node's launcher whose it is, until there is one; the address from which it answered.

    On a cluster its host is a DNS name, which resolves some seconds after the first node's pod has begun.
    """
    address = (run.rendezvous.host, run.rendezvous.port)
    while True:
        try:
            with socket.create_connection(address, timeout=SECONDS_FOR_A_LINE) as connection:
                connection.sendall((json.dumps({"job": str(run.job), "node": node_rank}) + "\n").encode())
                host = json.loads(read_line(connection))["job"]
                own = str(connection.getsockname()[0])
        except (OSError, ValueError, KeyError, TypeError) as error:
            if time.monotonic() > deadline:
                raise unanswered(run.rendezvous, error) from None
            time.sleep(0.5)
            continue
        if host != str(run.job):
            raise IdentityFailure(
                f"{address[0]}:{address[1]}", f"belongs to {host}", accepted=str(run.job), do="Nothing was trained."
            )
        return own


def unanswered(rendezvous: Rendezvous, error: Exception) -> CollectiveFailure:
    """Why the first node's launcher was not met: its name, or itself."""
    address = f"{rendezvous.host}:{rendezvous.port}"
    if isinstance(error, socket.gaierror | UnicodeError):
        return CollectiveFailure(
            "rendezvous",
            f"no address for the host of {address}: {getattr(error, 'strerror', None) or error}",
            do="See that the first node's pod and the service of that name are there.",
        )
    return CollectiveFailure("rendezvous", f"no launcher answers at {address}: {error}")


def read_line(connection: socket.socket) -> str:
    """One line of at most ``LONGEST_LINE`` bytes."""
    with connection.makefile("rb") as stream:
        line = stream.readline(LONGEST_LINE)
    if not line.endswith(b"\n"):
        raise ValueError("no line")
    return line.decode()


@contextmanager
def bound(port: int) -> Iterator[socket.socket]:
    """A socket that listens on the port, on every interface, as torchrun's store will.

    Raises:
        PortFailure: something holds it.
    """
    with unbound() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if server.family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            server.bind(("", port))
            server.listen()
        except OSError as error:
            raise PortFailure(f"port {port}", f"held by a process outside this product ({error.strerror})") from None
        yield server


def unbound() -> socket.socket:
    """A socket for both versions of IP, or for the fourth where the kernel has no sixth."""
    try:
        return socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    except OSError:
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM)
