"""gunicorn's worker with threads, which hangs up on nobody without having said so."""

from __future__ import annotations

import errno
import selectors
from concurrent.futures import Future
from functools import partial
from typing import Any

from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]


class WebWorker(ThreadWorker):  # type: ignore[misc]
    """As gunicorn's, but for the moment in which it is told to end.

    There, gunicorn closes the connections of those who have just been answered and were told that theirs stays open.
    A proxy may be sending the next request on it, and must not send a POST again: it would be lost.
    """

    def accept(self, listener: Any) -> None:
        """Where the socket has ended and the signal is still on its way, there is nothing to accept, and no fault."""
        try:
            super().accept(listener)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise

    def finish_request(self, conn: Any, fs: Future[Any]) -> None:
        """Keep the connection for one more request, whose answer says that it was the last."""
        if self.alive or fs.cancelled() or fs.exception() is not None or fs.result() is not True:
            super().finish_request(conn, fs)
            return
        conn.sock.setblocking(False)
        conn.set_timeout()
        self.keepalived_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_client_socket_readable, conn))
