"""The pretended GitHub of the benchmark: one process, one epoll loop, the same answer to every request.

It stands between the figures and the thing measured, so it does as little per request as possible.
`GET /-/delay/<milliseconds>` sets how long every later answer takes; `/user` is what a credential's check asks for.
"""

import select
import socket
import sys
import time
from collections import deque

from bench.sample import ISSUE, USER, reply

_CHUNK = 65536


class Upstream:
    """Answers on one listening socket until the process is ended."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.poll = select.epoll()
        self.connections: dict[int, socket.socket] = {}
        self.received: dict[int, bytes] = {}
        self.due: deque[tuple[float, int, bytes]] = deque()  # the delay is one for all, so the order is that of arrival
        self.delay_s = 0.0
        self.issue, self.user, self.done = reply(ISSUE), reply(USER), reply(b"{}")

    def serve(self) -> None:
        """Never returns."""
        self.listener.setblocking(False)
        self.poll.register(self.listener, select.EPOLLIN)
        while True:
            for fd, _ in self.poll.poll(self._wait_s()):
                if fd == self.listener.fileno():
                    self._accept()
                else:
                    self._read(fd)
            now = time.monotonic()
            while self.due and self.due[0][0] <= now:
                _, fd, answer = self.due.popleft()
                self._send(fd, answer)

    def _wait_s(self) -> float:
        return max(0.0, self.due[0][0] - time.monotonic()) if self.due else -1

    def _accept(self) -> None:
        for _ in range(64):
            try:
                connection, _address = self.listener.accept()
            except BlockingIOError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections[connection.fileno()] = connection
            self.poll.register(connection, select.EPOLLIN)

    def _read(self, fd: int) -> None:
        try:
            data = self.connections[fd].recv(_CHUNK)
        except ConnectionError:
            data = b""
        if not data:
            self.received.pop(fd, None)
            self.connections.pop(fd).close()
            return
        data = self.received.pop(fd, b"") + data
        if not data.endswith(b"\r\n\r\n"):  # every request of the benchmark is a GET without a body
            self.received[fd] = data
            return
        answer = self._answer(data.split(b" ", 2)[1])
        if self.delay_s:
            self.due.append((time.monotonic() + self.delay_s, fd, answer))
        else:
            self._send(fd, answer)

    def _answer(self, target: bytes) -> bytes:
        if target.startswith(b"/-/delay/"):
            self.delay_s = int(target.rsplit(b"/", 1)[1]) / 1000
            return self.done
        return self.user if target == b"/user" else self.issue

    def _send(self, fd: int, answer: bytes) -> None:
        connection = self.connections.get(fd)
        if connection is None:
            return
        try:
            connection.send(answer)
        except ConnectionError:
            self.received.pop(fd, None)
            self.connections.pop(fd).close()


if __name__ == "__main__":
    Upstream(socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1024)).serve()
