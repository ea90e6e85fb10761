"""gunicorn's worker with threads, which hangs up on nobody without having said so, and lives on without descriptors."""

from __future__ import annotations

import errno
import select
import selectors
import time
from concurrent.futures import Future
from functools import partial
from typing import Any

from gunicorn.workers import gthread  # type: ignore[import-untyped]

_SHORT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)
_PAUSE_S = 0.2
"""How long nobody is taken after there was no descriptor for somebody."""


class WebWorker(gthread.ThreadWorker):  # type: ignore[misc]
    """As gunicorn's, but for the moment in which it is told to end, and for that in which descriptors are used up.

    In the first, gunicorn closes the connections of those who have just been answered and were told that theirs stays
    open. A proxy may be sending the next request on it, and must not send a POST again: it would be lost. In the
    second, it ends, and hangs up on all whom it serves.
    """

    accepts_at = 0.0
    """When clients are taken again, on the monotonic clock."""

    def accept(self, listener: Any) -> None:
        """Where the socket has ended and the signal is still on its way, there is nothing to accept, and no fault.

        Whoever can not be taken for want of a descriptor waits until others have gone.
        """
        try:
            super().accept(listener)
        except OSError as error:
            if error.errno in _SHORT:
                self.log.warning("no client is taken for a moment: %s", error.strerror)
                self.accepts_at = time.monotonic() + _PAUSE_S
                self.set_accept_enabled(False)
            elif error.errno != errno.EINVAL:
                raise

    def set_accept_enabled(self, enabled: bool) -> None:
        """As gunicorn's main loop wants it, which asks once a second and after each answer."""
        if not enabled or time.monotonic() >= self.accepts_at:
            super().set_accept_enabled(enabled)

    def handle(self, conn: Any) -> Any:
        """Wait for a new client's first bytes without the descriptor that gunicorn's way of waiting takes."""
        if not conn.initialized and not conn.data_ready:
            waiting = select.poll()
            waiting.register(conn.sock, select.POLLIN)
            if not waiting.poll(gthread.DEFAULT_WORKER_DATA_TIMEOUT * 1000):
                return gthread._DEFER
            conn.data_ready = True
        return super().handle(conn)

    def finish_request(self, conn: Any, fs: Future[Any]) -> None:
        """Keep the connection for one more request, whose answer says that it was the last."""
        if self.alive or fs.cancelled() or fs.exception() is not None or fs.result() is not True:
            super().finish_request(conn, fs)
            return
        conn.sock.setblocking(False)
        conn.set_timeout()
        self.keepalived_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_client_socket_readable, conn))
