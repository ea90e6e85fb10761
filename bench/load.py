"""The load generator: N clients on keep-alive connections, each asking again as soon as it is answered.

Own process, one epoll loop, prepared bytes: its share of the two cores is small and the same for every server.
Reads one JSON order from standard input, prints one JSON result: calls, errors and the latencies' quantiles.
"""

import itertools
import json
import select
import socket
import sys
import time
from dataclasses import asdict, dataclass

_CHUNK = 65536


@dataclass
class Order:
    """What to fire at: the requests, of which each client has one; what a good answer holds; and for how long."""

    port: int
    clients: int
    seconds: float
    requests: list[str]
    expect: str


@dataclass
class Result:
    """What came of it. Latencies in milliseconds; errors are answers without `expect`, and lost connections."""

    calls_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    calls: int
    errors: int
    first_error: str


class Load:
    """One run. Connections are opened first; only answers to requests sent after the start count."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.expect = order.expect.encode()
        self.requests = itertools.cycle([request.encode() for request in order.requests])
        self.request_of: dict[int, bytes] = {}
        self.poll = select.epoll()
        self.connections: dict[int, socket.socket] = {}
        self.sent_at: dict[int, float] = {}
        self.received: dict[int, bytes] = {}
        self.took: list[float] = []
        self.errors: list[bytes] = []

    def run(self) -> Result:
        for _ in range(self.order.clients):
            self._connect(next(self.requests))
        started = time.perf_counter()
        for fd in list(self.connections):
            self._ask(fd)
        end = started + self.order.seconds
        while (now := time.perf_counter()) < end:
            for fd, _ in self.poll.poll(end - now):
                self._read(fd)
        return self._result(time.perf_counter() - started)

    def _connect(self, request: bytes) -> int:
        connection = socket.create_connection(("127.0.0.1", self.order.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections[connection.fileno()] = connection
        self.request_of[connection.fileno()] = request
        self.poll.register(connection, select.EPOLLIN)
        return connection.fileno()

    def _ask(self, fd: int) -> None:
        self.sent_at[fd] = time.perf_counter()
        self.connections[fd].send(self.request_of[fd])

    def _read(self, fd: int) -> None:
        try:
            data = self.connections[fd].recv(_CHUNK)
        except ConnectionError:
            data = b""
        if not data:
            self._lost(fd)
            return
        data = self.received.pop(fd, b"") + data
        if not _whole(data):
            self.received[fd] = data
            return
        self.took.append(time.perf_counter() - self.sent_at[fd])
        if not data.startswith(b"HTTP/1.1 200 ") or self.expect not in data:
            self.errors.append(data)
        self._ask(fd)

    def _lost(self, fd: int) -> None:
        self.errors.append(b"connection lost: " + self.received.pop(fd, b""))
        self.connections.pop(fd).close()
        self._ask(self._connect(self.request_of.pop(fd)))

    def _result(self, seconds: float) -> Result:
        took = sorted(self.took) or [0.0]
        return Result(
            calls_per_s=len(self.took) / seconds,
            p50_ms=took[len(took) // 2] * 1000,
            p95_ms=took[len(took) * 95 // 100] * 1000,
            p99_ms=took[len(took) * 99 // 100] * 1000,
            max_ms=took[-1] * 1000,
            calls=len(self.took),
            errors=len(self.errors),
            first_error=self.errors[0][:600].decode(errors="replace") if self.errors else "",
        )


def _whole(data: bytes) -> bool:
    head, blank, body = data.partition(b"\r\n\r\n")
    if not blank:
        return False
    _before, name, value = head.lower().partition(b"content-length:")
    if not name:
        return body.endswith(b"0\r\n\r\n")  # chunked
    return len(body) >= int(value.split(b"\r\n", 1)[0])


if __name__ == "__main__":
    print(json.dumps(asdict(Load(Order(**json.load(sys.stdin))).run())))
