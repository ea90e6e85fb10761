"""The HTTP client of the call path: own pooled sockets, with every limit on a service that hangs, floods or lies.

Not libcurl: it repeats a POST when a pooled connection dies and takes a cut gzip body as whole (8.23, measured).
Not http.client: its reads know no deadline, and it costs twice the processor time of this.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any, Final

from mcpweb import clock
from mcpweb.catalog import http_reply
from mcpweb.catalog.breakers import Breakers, Resting
from mcpweb.catalog.destinations import DestinationRefused, Destinations, Spot, parse
from mcpweb.catalog.http_reply import Reply
from mcpweb.catalog.pool import ConnectFailed, Pool
from mcpweb.catalog.wire import BadReply, Connection, Died, OutgoingError, TimedOut, TooLarge

__all__ = [
    "BadReply",
    "ConnectFailed",
    "DestinationRefused",
    "Destinations",
    "Outgoing",
    "OutgoingError",
    "Reply",
    "Resting",
    "TimedOut",
    "TooLarge",
]

_METHOD: Final = re.compile(r"[A-Z]{1,16}", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,100}", re.ASCII)
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_OURS: Final = frozenset(
    ("host", "content-length", "transfer-encoding", "connection", "accept-encoding", "expect", "te", "upgrade")
)


_PATIENT_S: Final = 2.0
"""A time-out after less says nothing of the service: the call had used up its time before."""
_DOWN: Final = frozenset((502, 503, 504))
"""Answers of a service whose own insides do not answer."""


class Outgoing:
    """Sends requests over kept connections. One object serves all threads of a process, and survives a fork."""

    def __init__(
        self, *, connect_timeout_s: float = 3.0, total_timeout_s: float = 25.0, max_bytes: int = 2 * 1024 * 1024
    ) -> None:
        self._pool = Pool(connect_timeout_s)
        self._breakers = Breakers()
        self._total_timeout_s = total_timeout_s
        self._max_bytes = max_bytes

    def request(
        self,
        method: str,
        url: str,
        *,
        to: Destinations,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        total_timeout_s: float | None = None,
        max_bytes: int | None = None,
        whose: int = 0,
    ) -> Reply:
        """Send one request and read the whole answer, within `total_timeout_s` seconds and `max_bytes` decoded.

        Nothing is repeated but a GET whose kept connection turned out dead before any byte of a reply. `whose` stands
        for the credential: what does not answer to one key goes on for the others.

        Raises:
            Resting, DestinationRefused, ConnectFailed, TimedOut, TooLarge, BadReply: see there.
            ValueError: the method or a header can not be sent; a fault of the caller.
        """
        began = clock.monotonic()
        total_s = self._total_timeout_s if total_timeout_s is None else total_timeout_s
        end = time.monotonic() + total_s
        limit = self._max_bytes if max_bytes is None else max_bytes
        spot, target = parse(url, to)
        message = _message(method, spot, target, headers or {}, body)
        self._breakers.ask(spot.authority, whose)
        try:
            reply = self._send(spot, method, message, end, limit)
        except (ConnectFailed, BadReply, TimedOut) as error:
            if not isinstance(error, TimedOut) or total_s >= _PATIENT_S:
                connected = not isinstance(error, ConnectFailed)
                self._breakers.failed(spot.authority, whose, began, connected=connected)
            raise
        except TooLarge:
            self._breakers.answered(spot.authority, whose)
            raise
        if reply.status in _DOWN:
            self._breakers.failed(spot.authority, whose, began, connected=True)
        else:
            self._breakers.answered(spot.authority, whose)
        return reply

    def breakers(self) -> list[dict[str, Any]]:
        """The far ends that this process leaves alone at the moment; see `Breakers.report`."""
        return self._breakers.report()

    def close(self) -> None:
        """Close the idle connections, at the end of the process; requests under way are not disturbed."""
        self._pool.close()

    def _send(self, spot: Spot, method: str, message: bytes, end: float, limit: int) -> Reply:
        try:
            if kept := self._pool.take(spot):
                try:
                    return self._exchange(kept, spot, method, message, end, limit)
                except Died:
                    if method != "GET":
                        raise
            return self._exchange(self._pool.connect(spot, end), spot, method, message, end, limit)
        except Died:
            raise BadReply("the connection ended without an answer") from None

    def _exchange(
        self, connection: Connection, spot: Spot, method: str, message: bytes, end: float, limit: int
    ) -> Reply:
        reusable = False
        try:
            connection.send(message, end)
            reply, reusable = http_reply.read(connection, method, limit)
        finally:
            if reusable:
                self._pool.keep(spot, connection)
            else:
                connection.close()
        return reply


def _message(method: str, spot: Spot, target: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
    if not _METHOD.fullmatch(method):
        raise ValueError("not a method")
    lines = [f"{method} {target} HTTP/1.1", f"Host: {spot.authority}", "Accept-Encoding: gzip"]
    agent = True
    for name, value in headers.items():
        lower = name.lower()
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value) or lower in _OURS:
            raise ValueError("a header can not be sent as it is")
        agent = agent and lower != "user-agent"
        lines.append(f"{name}: {value}")
    if agent:
        lines.append("User-Agent: mcpweb")
    if body is not None or method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(body or b'')}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")
