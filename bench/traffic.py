"""`python -m bench.traffic`: clients who call, list, open and look at pages, mixed as in life.

A process of its own with one epoll loop, as `bench.load`, but every request is another one. Reads one JSON `Plan` a
line from standard input, goes on until that is closed or the time is over, waits for what is in flight, and prints
a JSON list of `Seen`.
"""

from __future__ import annotations

import json
import random
import select
import socket
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

from bench.crowd import Crowd
from bench.load import _whole
from bench.requests import ANSWERS, KINDS, request

GIVE_UP_S = 40.0
"""Longer than anything may take."""
_CHUNK = 65_536


@dataclass
class Plan:
    """What to ask, of whom, and for how long."""

    port: int
    crowd: str
    clients: int = 16
    seconds: float = 3600.0
    pause_s: float = 0.0
    """Between an answer and the client's next request."""
    kinds: dict[str, int] = field(default_factory=lambda: dict(KINDS))
    """Names of `bench.requests`, and how often of the sum of all."""
    first: int = 0
    most: int = 0
    """Of the crowd, only so many from this one on are called; 0: all."""
    in_turn: bool = False
    """One after the other, each once, and the end; otherwise at random."""


class Seen(NamedTuple):
    """One request. Times are seconds of the monotonic clock, which all processes share."""

    kind: str
    sent_at: float
    took_s: float
    status: int
    """0: no answer."""
    is_good: bool
    words: str
    """The beginning of what was no good answer."""


@dataclass(eq=False)
class Client:
    """A connection, and what was asked on it."""

    connection: socket.socket | None = None
    kind: str = ""
    sent_at: float = 0.0
    received: bytes = b""
    is_busy: bool = False


class Traffic:
    """One run."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.crowd, self.random = plan, Crowd.read(Path(plan.crowd)), random.Random(5)
        self.poll = select.epoll()
        self.clients: dict[int, Client] = {}
        self.resting: deque[tuple[float, Client]] = deque()
        self.seen: list[Seen] = []
        chosen = self.crowd.endpoints[plan.first :]
        self.endpoints = chosen[: plan.most] if plan.most else chosen
        self.names, self.weights = list(plan.kinds), list(plan.kinds.values())
        self.left = iter(self.endpoints) if plan.in_turn else None
        self.order_fd = None if plan.in_turn else sys.stdin.fileno()
        self.is_over = False

    def run(self) -> list[Seen]:
        """Everything that was asked."""
        if self.order_fd is not None:
            self.poll.register(self.order_fd, select.EPOLLIN | select.EPOLLHUP)
        started = time.monotonic()
        for number in range(self.plan.clients):  # not all in the same moment, when they pause
            self.resting.append((started + self.plan.pause_s * number / self.plan.clients, Client()))
        end = started + self.plan.seconds
        while not self.is_over:
            self._wake()
            self._wait(0.01 if self.resting else 0.1)
            self.is_over |= time.monotonic() >= end
        end = time.monotonic() + GIVE_UP_S
        while any(client.is_busy for client in self.clients.values()) and time.monotonic() < end:
            self._wait(0.1)
        for client in list(self.clients.values()):
            if client.is_busy:
                self._done(client, 0, False, b"never answered")
        return self.seen

    def _wake(self) -> None:
        now = time.monotonic()
        while self.resting and self.resting[0][0] <= now and not self.is_over:
            self._ask(self.resting.popleft()[1])

    def _wait(self, seconds: float) -> None:
        for fd, _ in self.poll.poll(seconds):
            if fd == self.order_fd:
                self.is_over = True
                self.poll.unregister(fd)
            else:
                self._read(self.clients[fd])

    def _ask(self, client: Client) -> None:
        endpoint = next(self.left, None) if self.left else self.random.choice(self.endpoints)
        if endpoint is None:
            self.is_over = True
            return
        client.kind = self.random.choices(self.names, self.weights)[0]
        person = self.random.choice(
            self.crowd.hanging if client.kind == "hanging" else self.crowd.viewers or [("", "")]
        )
        client.sent_at, client.received, client.is_busy = time.monotonic(), b"", True
        try:
            connection = client.connection or self._connect(client)
            connection.sendall(request(client.kind, endpoint, person))
        except OSError as error:
            self._lost(client, str(error).encode())

    def _connect(self, client: Client) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.plan.port), timeout=5)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.connection = connection
        self.clients[connection.fileno()] = client
        self.poll.register(connection, select.EPOLLIN)
        return connection

    def _read(self, client: Client) -> None:
        assert client.connection
        try:
            data = client.connection.recv(_CHUNK)
        except ConnectionError:
            data = b""
        if not data:
            self._lost(client, b"connection lost: " + client.received)
            return
        client.received += data
        if client.is_busy and _whole(client.received):
            self._answered(client)

    def _answered(self, client: Client) -> None:
        answer = client.received
        status = int(answer[9:12])
        if b"\r\nconnection: close\r\n" in answer.partition(b"\r\n\r\n")[0].lower() + b"\r\n":
            self._hang_up(client)
        self._done(client, status, status == 200 and ANSWERS[client.kind] in answer, answer)

    def _lost(self, client: Client, words: bytes) -> None:
        self._hang_up(client)
        if client.is_busy:  # otherwise the server may hang up: nobody waits for it
            self._done(client, 0, False, words)

    def _hang_up(self, client: Client) -> None:
        if client.connection is not None:
            self.clients.pop(client.connection.fileno(), None)
            client.connection.close()
            client.connection = None

    def _done(self, client: Client, status: int, is_good: bool, answer: bytes) -> None:
        now = time.monotonic()
        words = "" if is_good else answer[:300].decode(errors="replace")
        self.seen.append(Seen(client.kind, client.sent_at, now - client.sent_at, status, is_good, words))
        client.is_busy = False
        rest = self.plan.pause_s or (0.0 if is_good else 0.02)  # who is refused does not ask again in the same moment
        self.resting.append((now + rest, client))


def order(plan: Plan) -> bytes:
    """The line that `python -m bench.traffic` reads."""
    return json.dumps(asdict(plan)).encode() + b"\n"


if __name__ == "__main__":
    first_line = b""
    while not first_line.endswith(b"\n"):  # unbuffered, or the end of the input would not be noticed
        first_line += sys.stdin.buffer.raw.read(1)  # type: ignore[attr-defined]
    print(json.dumps(Traffic(Plan(**json.loads(first_line))).run()))
