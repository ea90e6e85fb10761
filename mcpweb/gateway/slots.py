"""How many calls may run at once in this process, so that waiting calls leave threads to the pages."""

from __future__ import annotations

import threading
from http import HTTPStatus

from mcpweb.jsonrpc import BUSY, RpcError


class Slots:
    """A fixed number of places for running plugins; nobody queues for one."""

    def __init__(self, limit: int) -> None:
        self._free = threading.Semaphore(limit)

    def take(self) -> None:
        """Take a place, to be given back.

        Raises:
            RpcError: none is free; with HTTP status 503, which tells a client to try again.
        """
        if not self._free.acquire(blocking=False):
            message = "As many calls are running as may run at once. Try again in a moment."
            raise RpcError(BUSY, message, status=HTTPStatus.SERVICE_UNAVAILABLE)

    def give_back(self) -> None:
        """Give a place back."""
        self._free.release()
