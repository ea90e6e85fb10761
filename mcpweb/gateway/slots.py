"""How many calls may run at once in this process: of all users, so that threads are left to the pages, and of one."""

from __future__ import annotations

import threading
from http import HTTPStatus

from mcpweb.jsonrpc import BUSY, LIMITED, RpcError

_RETRY_AFTER_S = 1


class Slots:
    """A fixed number of places for running plugins; nobody queues for one."""

    def __init__(self, limit: int, per_user: int = 0) -> None:
        """Of `limit` places one user may have `per_user`, or all with 0."""
        self._free = limit
        self._limit, self._per_user = limit, per_user or limit
        self._taken: dict[int, int] = {}
        self._lock = threading.Lock()

    def take(self, user_id: int) -> None:
        """Take a place for a user, to be given back.

        Raises:
            RpcError: none is free, with status 503; or the user has as many as one may have, with status 429.
        """
        with self._lock:
            mine = self._taken.get(user_id, 0)
            if self._free > 0 and mine < self._per_user:
                self._free -= 1
                self._taken[user_id] = mine + 1
                return
        if mine < self._per_user or self._per_user >= self._limit:
            message = "As many calls are running as may run at once. Try again in a moment."
            raise RpcError(BUSY, message, status=HTTPStatus.SERVICE_UNAVAILABLE)
        raise RpcError(
            LIMITED,
            f"One account may have {self._per_user:,} calls running at once, and this one has. "
            "Try again when one of them is through.",
            status=HTTPStatus.TOO_MANY_REQUESTS,
            retry_after_s=_RETRY_AFTER_S,
        )

    def give_back(self, user_id: int) -> None:
        """Give a place of the user back."""
        with self._lock:
            self._free += 1
            left = self._taken[user_id] - 1
            if left:
                self._taken[user_id] = left
            else:
                del self._taken[user_id]
