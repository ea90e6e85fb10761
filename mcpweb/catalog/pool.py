"""Connections kept for the next request, and new ones to addresses that were checked."""

from __future__ import annotations

import os
import select
import socket
import ssl
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final

import certifi

from mcpweb import shortage
from mcpweb.catalog.addresses import SocketAddress, is_public, resolve
from mcpweb.catalog.destinations import DestinationRefused, Spot
from mcpweb.catalog.wire import Connection, OutgoingError

_IDLE_S: Final = 30.0
"""A connection unused for longer is closed: providers and NAT boxes drop them from about a minute on."""
_IDLE_MAX: Final = 256
"""Idle connections kept for one far end in one process."""
_RESOLVER_THREADS: Final = 8


class ConnectFailed(OutgoingError):
    """No connection came about in time; nothing was sent."""


class Pool:
    """The connections of one process, used by all its threads without a lock: deque's pop and append are atomic."""

    def __init__(self, connect_timeout_s: float) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._start()

    def _start(self) -> None:
        self._pid = os.getpid()
        self._idle: dict[Spot, deque[Connection]] = {}
        self._resolver = ThreadPoolExecutor(_RESOLVER_THREADS, "resolve")

    def take(self, spot: Spot) -> Connection | None:
        """The most recently used idle connection on which nothing has happened since."""
        if self._pid != os.getpid():  # forked: the sockets are the parent's, and its resolver's threads are not here
            inherited = self._idle
            self._start()
            _close_all(inherited)
        idle = self._idle.get(spot, deque())
        while idle:
            try:
                connection = idle.pop()
            except IndexError:
                return None
            if time.monotonic() - connection.idle_since < _IDLE_S and not _has_news(connection):
                return connection
            connection.close()
        return None

    def keep(self, spot: Spot, connection: Connection) -> None:
        connection.idle_since = now = time.monotonic()
        idle = self._idle.setdefault(spot, deque())
        idle.append(connection)
        try:
            while len(idle) > _IDLE_MAX or now - idle[0].idle_since > _IDLE_S:
                idle.popleft().close()
        except IndexError:
            return  # other threads took them

    def connect(self, spot: Spot, end: float) -> Connection:
        """A new connection, within the time for one and before `end`, in seconds of time.monotonic().

        Raises:
            ConnectFailed, DestinationRefused: see there.
            Busy: this process has no descriptor left for it, which says nothing of the far end.
        """
        end = min(end, time.monotonic() + self._connect_timeout_s)
        try:
            found = resolve(spot.host, spot.port, self._resolver, max(0.0, end - time.monotonic()))
        except (OSError, UnicodeError, RuntimeError) as error:
            _refuse_if_short(error)
            raise ConnectFailed(f"{spot.host} can not be found") from None
        allowed = [at for at in found if spot.may_be_private or is_public(at[1][0])]
        if not allowed:
            raise DestinationRefused(f"{spot.host} is not on the public internet")
        for left, address in zip(range(len(allowed), 0, -1), allowed, strict=True):
            share_s = (end - time.monotonic()) / left
            if share_s <= 0:
                break
            try:
                return Connection(_open(spot, address, share_s))
            except OSError as error:
                _refuse_if_short(error)
        raise ConnectFailed(f"{spot.host} can not be reached")

    def close(self) -> None:
        """Close what is idle; requests under way are not disturbed."""
        _close_all(self._idle)
        self._resolver.shutdown(wait=False, cancel_futures=True)


def _refuse_if_short(error: Exception) -> None:
    # The resolver can not open its files either, and then says that there is no such name.
    if shortage.is_behind(error):
        raise shortage.Busy from None


def _open(spot: Spot, address: SocketAddress, timeout_s: float) -> socket.socket:
    """A connected socket, handshake included; the address is the one that was checked, not the name again."""
    end = time.monotonic() + timeout_s
    plain = socket.socket(address[0], socket.SOCK_STREAM)
    try:
        plain.settimeout(timeout_s)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.connect(address[1])
        if not (spot.may_be_private or is_public(plain.getpeername()[0])):
            raise DestinationRefused(f"{spot.host} is not on the public internet")
        if not spot.tls:
            return plain
        plain.settimeout(max(0.001, end - time.monotonic()))
        return _tls().wrap_socket(plain, server_hostname=spot.host, suppress_ragged_eofs=False)
    except BaseException:
        plain.close()
        raise


@cache
def _tls() -> ssl.SSLContext:
    """The system's authorities (SSL_CERT_FILE adds an internal one); certifi's where the system has no list."""
    context = ssl.create_default_context()
    if not context.cert_store_stats()["x509_ca"]:
        context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    # Some builds of Python, Debian's 3.11 among them, set this; it takes a connection that was cut for a proper end.
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    return context


def _has_news(connection: Connection) -> bool:
    """Whether an idle connection was closed, or sent what nobody asked for: in both cases it is of no use."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _close_all(idle: dict[Spot, deque[Connection]]) -> None:
    for connections in idle.values():
        while connections:
            connections.pop().close()
