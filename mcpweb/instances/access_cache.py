"""Accesses in memory: kept for a minute, loaded once for all who wait for them, and dropped when they change."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from mcpweb import clock, shortage
from mcpweb.catalog.registry import Service
from mcpweb.crypto import Keyring, hash_secret, is_token
from mcpweb.errors import Unavailable
from mcpweb.instances import access_reading
from mcpweb.instances.access import Access, TokenAccess, Unauthorized
from mcpweb.instances.database_watch import DatabaseWatch
from mcpweb.instances.propagation import Propagation
from mcpweb.logs import events

log = logging.getLogger(__name__)

MAX_AGE_S = 60.0
MAX_ENTRIES = 10_000
PATIENCE_S = 2.0
"""So long a call waits for another one that asks the database about the same instance."""
_SWEEP_S = 5.0
_REPORT_SWEEPS = 12
"""After so many sweeps, a minute, the figures of the cache are logged."""
_AWAY = "The database does not answer. Try again in a minute."


@dataclass(slots=True)
class Stats:
    """What the cache did since the process started."""

    hits: int = 0
    misses: int = 0
    invalidations: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class _Entry:
    """An access, and what tells whether it still holds."""

    access: Access
    generation: int
    loaded_at: float


class AccessCache:
    """Accesses by instance id, for this process.

    An entry holds while its instance's generation is the one that it was loaded at, for a minute at most, and only as
    long as the database answers and this host hears of the other hosts' changes; otherwise the database is asked, and
    when that does not answer, the call is refused.
    """

    def __init__(
        self,
        services: Mapping[str, Service],
        keyring: Keyring,
        app_context: Callable[[], AbstractContextManager[Any]],
        propagation: Propagation,
    ) -> None:
        self._services = services
        self._keyring = keyring
        self._app_context = app_context
        self._propagation = propagation
        self._generations = propagation.generations
        self._database = DatabaseWatch(app_context)
        self._entries: OrderedDict[UUID, _Entry] = OrderedDict()
        self._loading: dict[UUID, threading.Lock] = {}
        self._lock = threading.Lock()
        self._sweeper: threading.Thread | None = None
        self._failed_at = -math.inf
        self.stats = Stats()
        self.show: Callable[[Stats], None] | None = None
        """Called with the figures after each sweep."""

    def get(self, instance_id: UUID, bearer: str) -> tuple[Access, bool]:
        """The access of an instance for whoever shows this token, and whether it was in memory.

        Raises:
            Unauthorized: nothing matches; malformed tokens are refused without asking anybody.
            Unavailable: the database does not answer, so nobody knows.
        """
        if not is_token(bearer):
            raise Unauthorized
        token_hash = hash_secret(bearer)
        access = self._remembered(instance_id)
        if access is not None and access.admits(token_hash):
            self.stats.hits += 1
            return access, True
        self._propagation.ensure_listening()
        # A token that the remembered access does not know may be newer than it, so the database decides.
        access = self._load_once(instance_id, token_hash)
        if access is None or not access.admits(token_hash):
            raise Unauthorized
        return access, False

    def get_again(self, access: Access, token: TokenAccess | None, bearer: str) -> Access:
        """What `get` gives whoever was let in with this access and token a moment ago.

        Raises:
            Unauthorized, Unavailable: as `get`.
        """
        if token is not None and not token.is_over and self._remembered(access.instance_id) is access:
            self.stats.hits += 1
            return access
        return self.get(access.instance_id, bearer)[0]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self.stats.size = 0

    @property
    def oldest_s(self) -> float:
        """How long ago the oldest remembered access was loaded."""
        loaded = [entry.loaded_at for entry in list(self._entries.values())]
        return clock.monotonic() - min(loaded) if loaded else 0.0

    def sweep(self) -> int:
        """Drop what no longer holds, with its credential; returns how much is left."""
        for instance_id, entry in list(self._entries.items()):
            if not self._holds(instance_id, entry):
                self._drop(instance_id, entry)
        if self.show is not None:
            self.show(self.stats)
        return len(self._entries)

    def report(self) -> None:
        """Log how much is remembered, how old it is, and how often it served or was dropped since the start."""
        events.request("access cache", oldest_s=round(self.oldest_s, 1), **asdict(self.stats))

    def _remembered(self, instance_id: UUID) -> Access | None:
        entry = self._entries.get(instance_id)
        if entry is None or not self._generations.is_trusted or not self._database.is_there:
            return None
        if self._holds(instance_id, entry):
            return entry.access
        self._drop(instance_id, entry)
        return None

    def _holds(self, instance_id: UUID, entry: _Entry) -> bool:
        return (
            entry.generation == self._generations.current(instance_id)
            and clock.monotonic() - entry.loaded_at <= MAX_AGE_S
        )

    def _drop(self, instance_id: UUID, entry: _Entry) -> None:
        with self._lock:
            if self._entries.get(instance_id) is entry:
                del self._entries[instance_id]
                self.stats.invalidations += 1
                self.stats.size = len(self._entries)

    def _load_once(self, instance_id: UUID, token_hash: bytes) -> Access | None:
        """Load for all who wait for it; whoever waited takes what was loaded after it came."""
        asked_at = clock.monotonic()
        with self._lock:
            self.stats.misses += 1
            loading = self._loading.setdefault(instance_id, threading.Lock())
        # Whoever loads may have asked just before the database fell silent, and wait as long as that lasts.
        if not loading.acquire(timeout=PATIENCE_S):
            raise Unavailable(_AWAY)
        try:
            if self._failed_at >= asked_at:  # who waited would wait once more for nothing, one after the other
                raise Unavailable(_AWAY)
            entry = self._entries.get(instance_id)
            fresh = entry is not None and entry.loaded_at >= asked_at and self._holds(instance_id, entry)
            if fresh and entry is not None and entry.access.admits(token_hash):
                return entry.access
            return self._load(instance_id, token_hash)
        finally:
            loading.release()
            with self._lock:
                self._loading.pop(instance_id, None)

    def _load(self, instance_id: UUID, token_hash: bytes) -> Access | None:
        if self._database.is_away:
            raise Unavailable(_AWAY)
        # The generation first: a change between the two reads then leaves an entry that is stale from the start.
        generation, loaded_at, asked_at = self._generations.current(instance_id), clock.monotonic(), time.monotonic()
        try:
            with self._app_context():  # a connection may be lost only when its session ends with the context
                access = access_reading.read(instance_id, token_hash, self._services, self._keyring)
        except (OperationalError, PoolTimeout) as error:
            if shortage.is_behind(error):
                raise shortage.Busy from None
            self._failed_at = clock.monotonic()
            log.error("the database does not answer", extra={"error": type(error).__name__})
            raise Unavailable(_AWAY) from None
        self._database.note_answer(asked_at)
        if access is not None:
            with self._lock:
                self._entries[instance_id] = _Entry(access, generation, loaded_at)
                self._entries.move_to_end(instance_id)
                if len(self._entries) > MAX_ENTRIES:
                    self._entries.popitem(last=False)
                self.stats.size = len(self._entries)
                if self._sweeper is None or not self._sweeper.is_alive():
                    self._sweeper = threading.Thread(target=self._sweep_until_empty, name="sweeper", daemon=True)
                    self._sweeper.start()
        return access

    def _sweep_until_empty(self) -> None:
        pause, sweeps = threading.Event(), 0
        while not pause.wait(_SWEEP_S) and self.sweep():
            sweeps += 1
            if sweeps % _REPORT_SWEEPS == 0:
                self.report()
