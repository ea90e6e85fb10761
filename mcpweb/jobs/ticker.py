"""The ticker of a host: puts due jobs on the queue. Any number of tickers run each slot once.

RQ's own cron is not used: it runs every job once a host and again at each start, and pickles.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

import redis
from rq import Queue
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import SQLAlchemyError

from mcpweb import clock
from mcpweb.errors import Unavailable
from mcpweb.hosts import host_id
from mcpweb.jobs import indexing, timetable
from mcpweb.jobs.schedule import PLANS, SPAN_OF_A_DAY_S
from mcpweb.jobs.timetable import Entry
from mcpweb.logs import events
from mcpweb.logs.writing import LogFiles
from mcpweb.monitoring.heartbeat import Heartbeat
from mcpweb.monitoring.sampling import Sampler
from mcpweb.queue import connect, enqueue_slot, open_queue
from mcpweb.settings import Settings

log = logging.getLogger(__name__)

TICK_S = 2.0
_MAX_BACKOFF_S = 10.0

Begin = Callable[[], AbstractContextManager[Connection]]
"""Opens a transaction on the database."""


def main(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; meanwhile keep the host's log index up to date, and note what the host uses.

    Raises:
        Unavailable: no Redis is named.
    """
    if not settings.redis_url:
        raise Unavailable("MCPWEB_REDIS_URL is not set; `mcpweb up` starts a Redis by itself.")
    events.start(LogFiles(settings.home / "logs"))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    follower = indexing.start(settings, stop)
    sampler = Sampler(settings.home, connect(settings.redis_url))
    heartbeat = Heartbeat(settings.database, settings.home / "run", "ticker", also=[sampler.sample]).start()
    run(Ticker(connect(settings.redis_url), _begin(settings.database), settings.home / "run"), stop)
    heartbeat.stop()
    follower.join()


def run(ticker: Ticker, stop: threading.Event) -> None:
    """Tick until stopped; a Redis that is away only delays the next tick.

    The monotonic clock sets the pace, so that a wall clock that is set back stops nothing.
    """
    wait_s = TICK_S
    while not stop.wait(wait_s):
        try:
            ticker.tick()
            wait_s = TICK_S
        except redis.RedisError as error:
            if wait_s == TICK_S:
                log.warning("the ticker can not reach the queue", extra={"error": type(error).__name__})
            wait_s = min(wait_s * 2, _MAX_BACKOFF_S)


class Ticker:
    """What one ticker knows: the schedule as last read, and the slot of each job that it has seen to."""

    def __init__(self, connection: redis.Redis, begin: Begin, folder: Path) -> None:
        host = host_id(folder)
        self._queues: dict[bool, Queue] = {False: open_queue(connection), True: open_queue(connection, host)}
        self._begin = begin
        self._days = _Days(folder / "days.json")
        self._entries: Sequence[Entry] = ()
        self._seen: dict[str, int] = {}
        self._complained: set[str] = set()

    def tick(self) -> list[str]:
        """Enqueue every job whose slot has begun and that was not seen to yet; returns those that this ticker won.

        A slot is counted by the wall clock, which all hosts share.

        Raises:
            RedisError: the queue is away; the slots stay open.
        """
        self._with_database(self._read)
        moment = clock.utcnow()
        return [entry.job for entry in self._entries if self._see_to(entry, moment)]

    def _see_to(self, entry: Entry, moment: datetime) -> bool:
        try:
            slot = entry.when.slot(moment)
        except (ValueError, KeyError):
            self._complain(entry.job, "the schedule of a job can not be read", job=entry.job)
            return False
        if not entry.when.every_s:
            return self._see_to_day(entry, slot)
        # Not "is later": a clock that is set back an hour would stop everything for as long.
        return self._seen.get(entry.job) != slot and self._enqueue(entry, slot)

    def _see_to_day(self, entry: Entry, slot: int) -> bool:
        """A daily slot is remembered outside of Redis too, which may forget; for a host's own job, on the host."""
        per_host = PLANS[entry.job].per_host
        # Of a host's own job, the row only says what counted as done when somebody changed its schedule.
        here = self._days.last(entry.job, slot) if per_host else 0
        if max(here, entry.last_slot or 0) >= slot:
            return False
        won = self._seen.get(entry.job) != slot and self._enqueue(entry, slot)
        if per_host:
            self._days.remember(entry.job, slot)
        else:  # a database that is away is told at a later tick
            self._with_database(lambda connection: timetable.remember(connection, entry.job, slot))
        return won

    def _enqueue(self, entry: Entry, slot: int) -> bool:
        plan = PLANS[entry.job]
        span_s = entry.when.every_s or SPAN_OF_A_DAY_S
        won = enqueue_slot(self._queues[plan.per_host], entry.job, slot, span_s, plan.timeout_s)
        self._seen[entry.job] = slot
        return won

    def _read(self, connection: Connection) -> None:
        self._entries = timetable.read(connection)

    def _with_database(self, work: Callable[[Connection], None]) -> None:
        try:
            with self._begin() as connection:
                work(connection)
            self._complained.discard("database")
        except SQLAlchemyError as error:
            self._complain("database", "the ticker can not read its schedule", error=type(error).__name__)

    def _complain(self, about: str, message: str, **fields: str) -> None:
        """Say it once, not at every tick."""
        if about not in self._complained:
            self._complained.add(about)
            log.warning(message, extra=fields)


class _Days:
    """The newest daily slot of each job that is this host's own; kept with its files, as what the jobs work on."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def last(self, job: str, slot: int) -> int:
        """The newest slot done; on a new host the present one counts as done."""
        days = self._read()
        if job not in days:
            self.remember(job, slot)
            return slot
        return days[job]

    def remember(self, job: str, slot: int) -> None:
        """Keep the slot."""
        draft = self._path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        draft.write_text(json.dumps(self._read() | {job: slot}), encoding="ascii")
        draft.replace(self._path)

    def _read(self) -> dict[str, int]:
        try:
            found: Iterable[tuple[str, int]] = json.loads(self._path.read_text(encoding="ascii")).items()
            return {str(job): int(slot) for job, slot in found}
        except (OSError, ValueError, AttributeError, TypeError):  # not there yet, or damaged: as on a new host
            return {}


def _begin(database_url: str) -> Begin:
    """Transactions of one connection, which gives up on a database that does not answer."""
    patience: dict[str, object] = {"timeout": 5} if database_url.startswith("sqlite") else {"connect_timeout": 3}
    engine = create_engine(database_url, pool_size=1, pool_pre_ping=True, hide_parameters=True, connect_args=patience)
    return engine.begin
