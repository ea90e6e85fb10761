"""A WSGI application whose worker is told to end just after it has answered `/last`."""

import gc
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

from gunicorn.workers.base import Worker

from tests.waiting import until


class Answer:
    """gunicorn closes it when all is sent, and looks after the connection later."""

    def __init__(self, body: bytes, is_last: bool) -> None:
        self._body, self._is_last = body, is_last

    def __iter__(self) -> Iterator[bytes]:
        yield self._body

    def close(self) -> None:
        """End the worker, and wait until it has been told."""
        if self._is_last:
            worker = next(one for one in gc.get_objects() if isinstance(one, Worker))
            os.kill(os.getpid(), signal.SIGTERM)
            until(lambda: not worker.alive, "the worker has been told to end")


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Answer:
    """The worker's process number."""
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return Answer(body, environ["PATH_INFO"] == "/last")
