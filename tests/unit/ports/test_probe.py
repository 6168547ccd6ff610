"""Whether a port is in use, by real sockets."""

from __future__ import annotations

import errno
import socket
from contextlib import closing

import pytest

from mmaction_operator.ports import PortRange
from mmaction_operator.ports.probe import in_use

HAS_IPV6 = socket.has_ipv6


def _bound(family: socket.AddressFamily, address: str, port: int, *options: int) -> socket.socket:
    foreign = socket.socket(family, socket.SOCK_STREAM)
    for option in options:
        foreign.setsockopt(socket.SOL_SOCKET, option, 1)
    try:
        foreign.bind((address, port))
    except OSError:
        foreign.close()
        raise
    return foreign


@pytest.mark.parametrize(
    ("family", "address"),
    [
        (socket.AF_INET, "0.0.0.0"),
        (socket.AF_INET, "127.0.0.1"),
        pytest.param(socket.AF_INET6, "::", marks=pytest.mark.skipif(not HAS_IPV6, reason="no IPv6")),
        pytest.param(socket.AF_INET6, "::1", marks=pytest.mark.skipif(not HAS_IPV6, reason="no IPv6")),
    ],
)
@pytest.mark.parametrize("options", [(), (socket.SO_REUSEADDR,), (socket.SO_REUSEADDR, socket.SO_REUSEPORT)])
@pytest.mark.parametrize("listens", [True, False], ids=["listens", "only bound"])
def test_a_server_on_any_interface_is_in_use(
    ports: PortRange, family: socket.AddressFamily, address: str, options: tuple[int, ...], listens: bool
) -> None:
    with closing(_bound(family, address, ports.first, *options)) as foreign:
        if listens:
            foreign.listen()
        assert in_use(ports.first)
    assert not in_use(ports.first)


def test_only_the_port_itself_is_in_use(ports: PortRange) -> None:
    with closing(_bound(socket.AF_INET, "0.0.0.0", ports.first)):
        assert not in_use(ports.first + 1)


def _leave_in_time_wait(port: int, *options: int, server_family: socket.AddressFamily = socket.AF_INET) -> None:
    """A server that closes first, as a finished training does, leaves its side of the connection behind."""
    with closing(_bound(server_family, "", port, *options)) as server:
        server.listen()
        with closing(socket.create_connection(("127.0.0.1", port))) as client:
            connection, _ = server.accept()
            connection.close()
            assert client.recv(1) == b""


@pytest.mark.parametrize(
    "family",
    [socket.AF_INET, pytest.param(socket.AF_INET6, marks=pytest.mark.skipif(not HAS_IPV6, reason="no IPv6"))],
)
def test_what_a_finished_training_leaves_in_time_wait_is_not_in_use(
    ports: PortRange, family: socket.AddressFamily
) -> None:
    _leave_in_time_wait(ports.first, socket.SO_REUSEADDR, server_family=family)
    with pytest.raises(OSError, match="in use"), socket.socket() as strict:
        strict.bind(("", ports.first))
    assert not in_use(ports.first)


def test_a_time_wait_that_no_server_may_bind_beside_is_in_use(ports: PortRange) -> None:
    _leave_in_time_wait(ports.first)
    with pytest.raises(OSError, match="in use"):
        _bound(socket.AF_INET, "", ports.first, socket.SO_REUSEADDR)
    assert in_use(ports.first)


def test_a_new_server_beside_time_wait_is_in_use(ports: PortRange) -> None:
    _leave_in_time_wait(ports.first, socket.SO_REUSEADDR)
    with closing(_bound(socket.AF_INET, "127.0.0.1", ports.first, socket.SO_REUSEADDR)) as server:
        server.listen()
        assert in_use(ports.first)


def test_a_connection_that_outlives_its_server_is_in_use(ports: PortRange) -> None:
    with closing(_bound(socket.AF_INET, "127.0.0.1", ports.first, socket.SO_REUSEADDR)) as server:
        server.listen()
        client = socket.create_connection(("127.0.0.1", ports.first))
        connection, _ = server.accept()
    with closing(client), closing(connection):
        assert in_use(ports.first)


def test_a_machine_without_ipv6_is_asked_about_ipv4_alone(ports: PortRange, monkeypatch: pytest.MonkeyPatch) -> None:
    class IPv4Socket(socket.socket):
        def __init__(self, family: int = socket.AF_INET, *rest: int) -> None:
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
            super().__init__(family, *rest)

    monkeypatch.setattr(socket, "socket", IPv4Socket)
    assert not in_use(ports.first)
    with closing(_bound(socket.AF_INET, "127.0.0.1", ports.first)):
        assert in_use(ports.first)
