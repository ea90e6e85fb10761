"""Turns signals into something that a select() can wait for."""

import signal
import socket
from contextlib import suppress
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """Counts the signals that ask to stop, and wakes a select() on `descriptor` for these and for ended children."""

    def __init__(self) -> None:
        self.stops_asked = 0
        self._reading_end, self._writing_end = socket.socketpair()
        self._reading_end.setblocking(False)
        self._writing_end.setblocking(False)
        self.descriptor = self._reading_end.fileno()
        signal.set_wakeup_fd(self._writing_end.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for number in STOPPING:
            # What is started under nohup is meant to survive its terminal.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._count)

    def drain(self) -> None:
        """Forget the wake-ups so far; the count stays."""
        with suppress(BlockingIOError):
            self._reading_end.recv(4096)

    def _count(self, _number: int, _frame: FrameType | None) -> None:
        self.stops_asked += 1
