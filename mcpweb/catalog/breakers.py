"""A service that does not answer is left alone for a while, so that nobody waits for it in vain.

Counted twice: for each credential at a host, so that what goes wrong for one key shuts nobody else out, and for the
host, when several keys get no answer or no connection comes about at all. Any answer, a refusal too, ends the row.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from mcpweb import clock
from mcpweb.catalog.wire import OutgoingError

FAILURES: Final = 5
"""So many in a row, and no further request is sent."""
_KEYS: Final = 2
"""So many different keys must have failed before a host rests for all of them."""
_REST_S: Final = (5.0, 10.0, 20.0, 40.0, 60.0)
"""How long it rests the first time, the second time, …; then one request tries."""
_TRY_S: Final = 30.0
"""The one that tries is awaited for so long, then another one may; more than any request takes."""
_FORGET_S: Final = 300.0
"""Failures with so much time between them are no row."""
_MOST: Final = 1000
"""Rows kept in one process; the oldest goes first."""
_TOLD: Final = 20

_Key = tuple[str, int | None]


class Resting(OutgoingError):
    """The service has not answered `since` then; nothing was sent, and nothing will be for `wait_s` seconds."""

    def __init__(self, since: datetime, wait_s: int) -> None:
        super().__init__("the service rests")
        self.since = since
        self.wait_s = wait_s


@dataclass(slots=True)
class _Row:
    """Failures in a row; moments are of the monotonic clock."""

    since: datetime
    failures: int = 0
    failed_at: float = 0.0
    rests: int = 0
    """How often it was left alone so far."""
    opened_at: float = 0.0
    until: float = 0.0
    is_tried: bool = False
    keys: set[int] = field(default_factory=set)

    def rest(self, now: float) -> None:
        """Leave it alone from now on, each time for longer."""
        self.opened_at = now
        self.until = now + _REST_S[min(self.rests, len(_REST_S) - 1)]
        self.rests += 1
        self.is_tried = False


class Breakers:
    """The rows of one process. While every service answers there is none, and asking costs nothing."""

    def __init__(self) -> None:
        self._rows: dict[_Key, _Row] = {}
        self._lock = threading.Lock()

    def ask(self, host: str, whose: int) -> None:
        """Before a request; `whose` stands for the credential, and says nothing of it.

        Raises:
            Resting: do not send it.
        """
        if not self._rows:
            return
        with self._lock:
            rows = [row for key in _keys(host, whose) if (row := self._rows.get(key)) and row.rests]
            now = clock.monotonic()
            if waits := [row for row in rows if now < row.until]:
                longest = max(waits, key=lambda row: row.until)
                raise Resting(longest.since, math.ceil(longest.until - now))
            for row in rows:  # this is the request that tries
                row.until, row.is_tried = now + _TRY_S, True

    def failed(self, host: str, whose: int, began: float, *, connected: bool) -> None:
        """After a request without an answer that says anything; it began at `began`."""
        with self._lock:
            now = clock.monotonic()
            # Without a connection no key was shown, so it says nothing of the one at hand.
            for key in _keys(host, whose) if connected else [(host, None)]:
                row = self._row(key, now)
                if row.rests and began < row.opened_at:
                    continue  # it was under way when the others failed
                row.failures += 1
                row.failed_at = now
                if len(row.keys) < _KEYS:
                    row.keys.add(whose)
                is_all = key[1] is not None or len(row.keys) >= _KEYS or not connected
                if row.rests or (row.failures >= FAILURES and is_all):
                    row.rest(now)

    def answered(self, host: str, whose: int) -> None:
        """After a request with an answer."""
        if self._rows:
            with self._lock:
                for key in _keys(host, whose):
                    self._rows.pop(key, None)

    def report(self) -> list[dict[str, Any]]:
        """Who rests, the longest first, as plain data: host, of (all, or one key), state, since, failures."""
        with self._lock:
            rows = [(key, row) for key, row in self._rows.items() if row.rests]
        rows.sort(key=lambda one: one[1].since)
        return [
            {
                "host": host,
                "of": "all" if whose is None else "one key",
                "state": "trying" if row.is_tried else "resting",
                "since": row.since.isoformat(timespec="seconds"),
                "failures": row.failures,
            }
            for (host, whose), row in rows[:_TOLD]
        ]

    def _row(self, key: _Key, now: float) -> _Row:
        row = self._rows.get(key)
        if row is None or (not row.rests and now - row.failed_at > _FORGET_S):
            row = self._rows[key] = _Row(clock.utcnow())
            if len(self._rows) > _MOST:
                del self._rows[next(iter(self._rows))]
        return row


def _keys(host: str, whose: int) -> list[_Key]:
    return [(host, None), (host, whose)]
