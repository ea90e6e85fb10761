"""Which network addresses an outgoing request may reach, and finding those of a host in bounded time."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final

SocketAddress = tuple[socket.AddressFamily, tuple[Any, ...]]
"""What `socket.socket(family).connect(address)` takes."""

_CLOSED_4: Final = tuple(
    map(
        IPv4Network,
        (  # IANA's special-purpose registry, the globally reachable relays and sinks in it included
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "168.63.129.16/32",  # Azure's platform address: public by number, the host's own by routing
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.31.196.0/24",
            "192.52.193.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "192.175.48.0/24",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/3",  # multicast, reserved, broadcast
        ),
    )
)

_OPEN_6: Final = IPv6Network("2000::/3")
"""Everything outside is not global unicast: NAT64, ::a.b.c.d, unique local, site local, link local, multicast."""

_CLOSED_6: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments, Teredo among them: carries an IPv4 address inside
            "2001:db8::/32",
            "2002::/16",  # 6to4: carries an IPv4 address inside
            "2620:4f:8000::/48",
            "3fff::/20",
        ),
    )
)


def is_public(address: str) -> bool:
    """Whether this numeric address belongs to the open internet; what can not be read does not.

    CPython's `is_global` and `is_private` are not used: as of 3.11 both let NAT64, 6to4 and others through.
    """
    try:
        ip: IPv4Address | IPv6Address | None = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    if isinstance(ip, IPv4Address):
        return not any(ip in network for network in _CLOSED_4)
    return ip in _OPEN_6 and not any(ip in network for network in _CLOSED_6)


def resolve(host: str, port: int, executor: ThreadPoolExecutor, timeout_s: float) -> list[SocketAddress]:
    """The host's addresses in the system's order.

    The system's resolver knows no deadline, so that a name is looked up on a thread of the executor, which is
    left behind when the time is over.

    Raises:
        OSError: there is no such name, or (TimeoutError) no answer in time.
    """
    try:
        return _look_up(host, port, socket.AI_NUMERICHOST)
    except socket.gaierror:
        future = executor.submit(_look_up, host, port, 0)
    try:
        return future.result(timeout_s)
    finally:
        future.cancel()


def _look_up(host: str, port: int, flags: int) -> list[SocketAddress]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, address) for family, _, _, _, address in found]
