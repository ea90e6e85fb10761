"""The count that all processes keep together, in Redis, and what a process does without it."""

from __future__ import annotations

import logging
import threading

import redis

from mcpweb import clock

log = logging.getLogger(__name__)

PAUSE_S = 5.0
"""After Redis failed or was slow, nobody asks it for so long; then one call tries."""
_SLOW_S = 0.25


class Ledger:
    """Counts in Redis. While it does not answer, a call waits for it once, and those after that one not at all."""

    def __init__(self, client: redis.Redis | None) -> None:
        """`client` must give up in a bounded time; without one, nothing is known in common."""
        self._client = client
        self._silent = client is None
        self._ask_again_at = 0.0
        self._lock = threading.Lock()

    def add(self, key: str, amount: int, keep_s: int) -> int | None:
        """Add to a count, kept for so long; returns what it was before, or None when nobody can say."""
        if self._client is None or not self._may_ask():
            return None
        asked_at = clock.monotonic()
        try:
            with self._client.pipeline(transaction=False) as both:
                both.incrby(key, amount)
                both.expire(key, keep_s)
                total = int(both.execute()[0])
        except redis.RedisError as error:
            self._note(type(error).__name__)
            return None
        self._note("slow" if clock.monotonic() - asked_at > _SLOW_S else "")
        return total - amount

    def _may_ask(self) -> bool:
        with self._lock:
            if not self._silent:
                return True
            now = clock.monotonic()
            if now < self._ask_again_at:
                return False
            self._ask_again_at = now + PAUSE_S  # this call tries, the others go on
            return True

    def _note(self, trouble: str) -> None:
        with self._lock:
            before, self._silent = self._silent, bool(trouble)
            if trouble:
                self._ask_again_at = clock.monotonic() + PAUSE_S
        if trouble and not before:
            log.warning("each process counts calls by itself until Redis answers again", extra={"error": trouble})
        elif before and not trouble:
            log.info("calls are counted in common again")
