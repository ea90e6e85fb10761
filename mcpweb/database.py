"""The database: one session for each request or job, aware UTC times, and transactions that write."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import DateTime, Dialect, Engine, MetaData, TypeDecorator, event, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase

from mcpweb import clock, reachable

REVISION = "0003"
"""The newest migration, which this program needs. Named here because asking Alembic costs a web process 11 MB."""

# FULL: after a power cut nothing that was answered may be undone, such as a token that was revoked.
_SQLITE_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=15000")

_writing: ContextVar[bool] = ContextVar("writing", default=False)
_after_commit: ContextVar[list[Callable[[], object]] | None] = ContextVar("after_commit", default=None)


class Base(DeclarativeBase):
    """The parent of all models; constraints have names, so that migrations can change them on any database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


# Objects stay readable after a commit: what a function returns is used by pages and jobs without another query.
db = SQLAlchemy(model_class=Base, disable_autonaming=True, session_options={"expire_on_commit": False})


class UTCDateTime(TypeDecorator[datetime]):
    """An aware time in UTC. SQLite would give back naive ones, PostgreSQL ones in the session's zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("a naive time can not be stored")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def end_session(_: BaseException | None = None) -> None:
    """Give the connection back. When it is lost, nothing else is: what was to be kept is committed by then."""
    try:
        db.session.remove()
    except DBAPIError:
        db.session.registry.clear()


@contextmanager
def transaction() -> Iterator[None]:
    """Commit at the end, roll back on any error. Does not nest, and holds no network calls.

    On SQLite it takes the write lock at once: a reader that starts to write later fails with "database is locked"
    or silently overwrites what another process has written meanwhile.
    """
    if _writing.get():
        raise RuntimeError("transaction() does not nest")
    db.session.commit()  # ends the read that is open, so that the block sees the newest rows
    writing = _writing.set(True)
    hooks = _after_commit.set([])
    try:
        with db.session.begin():
            yield
        callbacks = _after_commit.get() or []
    finally:
        _writing.reset(writing)
        _after_commit.reset(hooks)
    for callback in callbacks:
        callback()


def after_commit(callback: Callable[[], object]) -> None:
    """Run `callback` when the open transaction has been committed; not at all when it fails."""
    callbacks = _after_commit.get()
    if callbacks is None:
        raise RuntimeError("after_commit() needs an open transaction")
    callbacks.append(callback)


def take_turns(subject: str) -> None:
    """Wait until no other open transaction has called this for the same subject; the turn ends with the transaction.

    For what must look before it writes, and where a claiming UPDATE has no row yet to claim. SQLite lets only one
    transaction write anyway.
    """
    if db.engine.dialect.name == "postgresql":
        db.session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:subject, 0))"), {"subject": subject})


def now() -> datetime:
    """The database server's clock: one clock for all web hosts. For SQLite that is this machine's."""
    if db.engine.dialect.name == "sqlite":
        return clock.utcnow()
    moment: datetime = db.session.execute(select(func.clock_timestamp())).scalar_one()
    return moment.astimezone(UTC)


def prepare_engine(engine: Engine) -> None:
    """Make SQLite safe for several processes, and bound the wait for PostgreSQL."""
    if engine.dialect.name == "postgresql":
        reachable.watch(engine)
        return

    @event.listens_for(engine, "connect")
    def connect(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # the driver would begin transactions itself, and never IMMEDIATE
        for pragma in _SQLITE_PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if _writing.get() else "BEGIN")
