"""So many calls of an instance in a minute or a day, counted over all processes without asking for every call."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from mcpweb import clock
from mcpweb.gateway.ledger import Ledger

_SHARES = 50
"""A process fetches a fiftieth of the allowance at a time; below a hundred calls, each one by itself."""


@dataclass(slots=True)
class _Lease:
    """What this process has of an instance's allowance in the current window."""

    left: int = 0
    fetched: int = 0
    asking: int = 0
    is_used_up: bool = False


class Allowance:
    """A number of calls for each instance in every window; windows begin at full minutes or days, UTC.

    A process fetches shares from the ledger and spends them by itself. What it fetched and does not spend, the other
    processes lack: at most a fiftieth each. Without an answer from the ledger each process has the whole for itself.
    """

    def __init__(self, limit: int, period_s: int, ledger: Ledger) -> None:
        """`period_s` divides a day."""
        self.limit = limit
        self._period_s = period_s
        self._share = max(1, limit // _SHARES)
        self._ledger = ledger
        self._window = 0
        self._leases: dict[UUID, _Lease] = {}
        self._lock = threading.Lock()

    def take(self, instance_id: UUID) -> datetime | None:
        """Count one call; returns None when it may be made, else the end of the window."""
        with self._lock:
            window = self._turn()
            lease = self._leases.get(instance_id)
            if lease is None:
                lease = self._leases[instance_id] = _Lease()
            if lease.left > 0:
                lease.left -= 1
                return None
            if lease.is_used_up:
                return self._end(window)
            # Many threads that find nothing left at once must not fetch the whole allowance for this process.
            amount = 1 if lease.asking else self._share
            lease.asking += 1
        # No lock is held here: a sick Redis keeps the calls waiting that ask it, and no other.
        before = self._ledger.add(f"mcpweb:calls:{instance_id}:{self._period_s}:{window}", amount, 2 * self._period_s)
        with self._lock:
            return None if self._grant(lease, amount, before) else self._end(window)

    def _turn(self) -> int:
        """The current window; when it is a new one, all that was counted in the last is forgotten."""
        window = int(clock.utcnow().timestamp()) // self._period_s
        if window != self._window:
            self._window = window
            self._leases = {}
        return window

    def _end(self, window: int) -> datetime:
        return datetime.fromtimestamp((window + 1) * self._period_s, UTC)

    def _grant(self, lease: _Lease, amount: int, before: int | None) -> bool:
        """Put what the allowance still yields into the lease, and spend one of it."""
        lease.asking -= 1
        # A Redis that lost its counts knows of less than this process fetched.
        granted = max(0, min(amount, self.limit - max(lease.fetched, before or 0)))
        lease.fetched += granted
        lease.left += granted - 1 if granted else 0
        lease.is_used_up = not granted or lease.fetched >= self.limit
        return granted > 0
