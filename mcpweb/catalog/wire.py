"""A connected socket, read and written until one deadline: the bytes below HTTP."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Final

_CHUNK: Final = 65536
_SLACK_S: Final = 0.02
"""A socket's time-out is set anew only when it is off by more: saves a system call per read and write."""


class OutgoingError(Exception):
    """A request to a service failed. The text names no secret, no header and no URL."""


class TimedOut(OutgoingError):
    """The service did not finish its answer before the deadline."""


class TooLarge(OutgoingError):
    """The answer, decoded, is larger than the caller takes."""


class BadReply(OutgoingError):
    """The answer is cut off, or is not what HTTP, or the caller, understands."""


class Died(Exception):
    """The connection ended before the first byte of a reply; internal, for the decision to try again."""


class Connection:
    """A socket of the pool, and the bytes received from it that nobody has taken yet."""

    __slots__ = ("_end", "_received", "_socket", "_timeout_s", "idle_since")

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._timeout_s = connected.gettimeout() or 0.0
        self._received = bytearray()
        self._end = 0.0
        self.idle_since = 0.0

    def fileno(self) -> int:
        """The socket's descriptor, for polling."""
        return self._socket.fileno()

    def close(self) -> None:
        """Give the socket back; sends nothing over TLS, so that a forked process may do it as well."""
        self._socket.close()

    @property
    def is_drained(self) -> bool:
        """Whether everything that came was also taken."""
        return not self._received

    def send(self, message: bytes, end: float) -> None:
        """Send it all and have everything read until `end`, in seconds of time.monotonic().

        Raises:
            TimedOut: the service does not take it in time.
            Died: the connection is not usable any more.
        """
        self._end = end
        view = memoryview(message)
        try:
            while view:
                self._set_timeout()
                view = view[self._socket.send(view) :]
        except TimeoutError:
            raise TimedOut("no answer in time") from None
        except OSError:
            raise Died from None

    def wait(self) -> None:
        """Wait for the first bytes of a reply.

        Raises:
            TimedOut: none came in time.
            Died: none will come.
        """
        try:
            began = self._receive()
        except BadReply:
            began = False
        if not began:
            raise Died

    def until(self, mark: bytes, limit: int) -> bytes:
        """What comes before the mark, at most `limit` bytes; the mark is taken as well.

        Raises:
            TimedOut, BadReply: see there; also raised by the two below.
        """
        while (at := self._received.find(mark)) < 0:
            if len(self._received) >= limit + len(mark):
                raise BadReply("a line or head is too long")
            if not self._receive():
                raise BadReply("the answer is cut off")
        if at > limit:
            raise BadReply("a line or head is too long")
        taken = bytes(self._received[:at])
        del self._received[: at + len(mark)]
        return taken

    def exactly(self, length: int) -> Iterator[bytes]:
        """This many bytes, in pieces as they come."""
        while length:
            if not self._received and not self._receive():
                raise BadReply("the answer is cut off")
            piece = bytes(self._received[:length])
            del self._received[: len(piece)]
            length -= len(piece)
            yield piece

    def until_closed(self) -> Iterator[bytes]:
        """All that still comes, in pieces."""
        while self._received or self._receive():
            piece = bytes(self._received)
            self._received.clear()
            yield piece

    def _receive(self) -> bool:
        """Wait for more bytes; False at the end of the stream."""
        self._set_timeout()
        try:
            data = self._socket.recv(_CHUNK)
        except TimeoutError:
            raise TimedOut("no answer in time") from None
        except OSError:  # reset, or over TLS an end without a farewell, which anybody on the way could have made
            raise BadReply("the answer is cut off") from None
        self._received += data
        return bool(data)

    def _set_timeout(self) -> None:
        left_s = self._end - time.monotonic()
        if left_s <= 0:
            raise TimedOut("no answer in time")
        if abs(left_s - self._timeout_s) > _SLACK_S:
            self._socket.settimeout(left_s)
            self._timeout_s = left_s
