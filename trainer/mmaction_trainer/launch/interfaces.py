"""Which network interface an address of this machine belongs to.

Source: netdevice(7), and ``/proc/net/if_inet6`` as the kernel's ``net/ipv6/addrconf.c`` writes it.
"""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

SIOCGIFADDR = 0x8915
SIXTH = Path("/proc/net/if_inet6")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def interface_of(address: str) -> str | None:
    """The interface's name; None where no interface has it as its first address.

    Args:
        address: of the fourth or sixth version, or the fourth as a socket of the sixth has it.
    """
    wanted: Address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(wanted, ipaddress.IPv6Address) and wanted.ipv4_mapped:
        wanted = wanted.ipv4_mapped
    return next((name for name, held in addresses() if held == wanted), None)


def addresses() -> Iterator[tuple[str, Address]]:
    """Every interface's name with its first address of the fourth version, and with each of the sixth."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(asking, SIOCGIFADDR, struct.pack("256s", name.encode()))
            except OSError:
                continue  # it has none
            yield name, ipaddress.IPv4Address(answer[20:24])
    for line in SIXTH.read_text().splitlines() if SIXTH.exists() else ():
        digits, *_, name = line.split()
        yield name, ipaddress.IPv6Address(bytes.fromhex(digits))
