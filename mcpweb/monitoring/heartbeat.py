"""Every process says from time to time that it is there, so that one page can show those of all hosts."""

from __future__ import annotations

import logging
import os
import stat
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, delete, event, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from mcpweb import __version__, clock
from mcpweb.database import prepare_engine
from mcpweb.hosts import host_id
from mcpweb.logs.lines import HOST
from mcpweb.monitoring.models import HostRole

log = logging.getLogger(__name__)

BEAT_S = 10.0
_SURE_MS = 1000
"""An answer of the database that took longer says too little about its clock."""

Figures = Callable[[], Mapping[str, Any]]
Also = Callable[[Engine, datetime], object]
"""Something else to do after a beat, which was at this time of the database's clock."""


class Heartbeat:
    """Writes the row of this process, on a thread and a connection of its own, until it is told to stop.

    A database that is away is tried again at the next beat. Start it in the process that it speaks for: threads do not
    survive a fork, so a child does not beat. No fork happens during a beat, which would leave the child half a one.
    """

    def __init__(
        self, database_url: str, folder: Path, role: str, figures: Figures = dict, also: Sequence[Also] = ()
    ) -> None:
        self._engine = _engine(database_url)
        self._key = {"host": host_id(folder), "role": role, "process": os.getpid()}
        self._figures, self._also = figures, also
        self._started_at: datetime | None = None
        self._failures = 0
        self._stop = threading.Event()
        self._beating = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> Heartbeat:
        """Beat from now on."""
        release = self._beating.release
        os.register_at_fork(before=self._beating.acquire, after_in_parent=release, after_in_child=release)
        self._thread.start()
        return self

    def stop(self) -> None:
        """The process ends as it should: nobody will miss it."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(5)
        with suppress(SQLAlchemyError), self._engine.begin() as connection:
            connection.execute(delete(HostRole).filter_by(**self._key))
        self._engine.dispose()

    def beat(self) -> bool:
        """Say once that this process is there, and do what else is to be done; returns whether the database took it."""
        try:
            with self._beating, self._engine.begin() as connection:
                moment = self._write(connection)
            for work in self._also:
                work(self._engine, moment)
        except (SQLAlchemyError, OSError) as error:
            self._failures += 1
            if self._failures == 2:  # a database that is only now being prepared is no trouble
                log.warning("this process can not say that it is there", extra={"error": type(error).__name__})
            return False
        self._failures = 0
        return True

    def _run(self) -> None:
        self.beat()
        while not self._stop.wait(BEAT_S):
            self.beat()

    def _write(self, connection: Connection) -> datetime:
        moment, offset_ms = _clocks(connection)
        self._started_at = self._started_at or moment
        news = {
            "name": HOST[:64],
            "version": __version__,
            "started_at": self._started_at,
            "seen_at": moment,
            "clock_offset_ms": offset_ms,
            "figures": {**descriptors(), **self._figures()},
        }
        insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(HostRole)
        connection.execute(
            insert.values(**self._key, **news).on_conflict_do_update(index_elements=list(self._key), set_=news)
        )
        return moment


def descriptors() -> dict[str, int]:
    """How many files this process has open, and how many of them are connections."""
    files = sockets = 0
    for name in os.listdir("/dev/fd"):
        with suppress(OSError):  # the folder's own, which is closed by now
            sockets += stat.S_ISSOCK(os.fstat(int(name)).st_mode)
            files += 1
    return {"open_files": files, "connections": sockets}


def _clocks(connection: Connection) -> tuple[datetime, int | None]:
    """The database's time, and how far this host's clock is ahead of it; None where there is only one clock."""
    if connection.dialect.name == "sqlite":
        return clock.utcnow(), None
    asked_at, before = clock.monotonic(), clock.utcnow()
    moment: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    took_ms = (clock.monotonic() - asked_at) * 1000
    offset_ms = (before - moment).total_seconds() * 1000 + took_ms / 2
    return moment, round(offset_ms) if took_ms < _SURE_MS else None


def _engine(url: str) -> Engine:
    engine = create_engine(url, pool_size=1, max_overflow=0, pool_pre_ping=True, hide_parameters=True)
    prepare_engine(engine)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def connect(connection: Any, _record: Any) -> None:
            connection.execute("PRAGMA busy_timeout=2000")  # forks wait for a beat

    return engine
