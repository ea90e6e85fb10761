"""Asks a server whether it is ready, without blocking and without a client library."""

import socket
import time
from dataclasses import dataclass

PATIENCE_S = 5.0
PAUSE_S = 0.03


@dataclass(frozen=True)
class Question:
    """What to send to which address, and how the answer of a ready server begins."""

    address: str | tuple[str, int]
    """The path of a unix socket, or host and port."""
    request: bytes
    expected: bytes


class Probe:
    """One question, asked again and again until the expected answer comes."""

    def __init__(self, question: Question):
        self._question = question
        self._socket: socket.socket | None = None
        self._answer = b""
        self.ask_at = 0.0

    @property
    def descriptor(self) -> int | None:
        """What to watch for reading while an answer is awaited."""
        return self._socket.fileno() if self._socket else None

    def step(self) -> bool:
        """Go on as far as possible without waiting. True when the server is ready.

        A server that has bound its port but is still starting keeps the question in its backlog, so its answer comes
        at the first possible moment; otherwise the question is asked again at `ask_at`.
        """
        try:
            if self._socket is None:
                if time.monotonic() < self.ask_at:
                    return False
                self._socket = self._ask()
            return self._has_good_answer(self._socket)
        except OSError:
            self.drop()
            return False

    def _ask(self) -> socket.socket:
        address = self._question.address
        if isinstance(address, str):
            asked = socket.socket(socket.AF_UNIX)
            asked.connect(address)
        else:
            asked = socket.create_connection(address, timeout=PATIENCE_S)
        asked.sendall(self._question.request)
        asked.setblocking(False)
        self._answer = b""
        self.ask_at = time.monotonic() + PATIENCE_S
        return asked

    def _has_good_answer(self, asked: socket.socket) -> bool:
        expected = self._question.expected
        try:
            arrived = asked.recv(4096)
        except BlockingIOError:
            if time.monotonic() >= self.ask_at:
                self.drop()
            return False
        self._answer += arrived
        is_good = self._answer.startswith(expected)
        if is_good or not arrived or not expected.startswith(self._answer):
            self.drop()
        return is_good

    def drop(self) -> None:
        """Forget the question under way; the next one may be asked after a short pause."""
        if self._socket:
            self._socket.close()
            self._socket = None
        self.ask_at = time.monotonic() + PAUSE_S
