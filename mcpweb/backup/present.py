"""What is there already, where a backup is to be restored."""

from __future__ import annotations

import fcntl
from pathlib import Path

from sqlalchemy import inspect, select
from sqlalchemy.exc import SQLAlchemyError

from mcpweb import clock
from mcpweb.backup import facts
from mcpweb.backup.postgres_store import engine_of
from mcpweb.errors import Conflict, Unavailable
from mcpweb.monitoring.models import HostRole
from mcpweb.monitoring.sampling import ALIVE
from mcpweb.settings import Settings


def is_empty(settings: Settings) -> bool:
    """Whether there is no database, or none of our tables in it.

    Raises:
        Unavailable: PostgreSQL does not answer.
    """
    url = settings.database
    if url.startswith("sqlite:"):
        return not Path(url.removeprefix("sqlite:///")).exists()
    engine = engine_of(url)
    try:
        with engine.connect() as connection:
            return not facts.tables(connection)
    except SQLAlchemyError as error:
        raise Unavailable(f"The database does not answer ({type(error).__name__}). Nothing was changed.") from None
    finally:
        engine.dispose()


def refuse_running(settings: Settings) -> None:
    """Make sure that nobody uses the database that is about to be replaced.

    Raises:
        Conflict: a process does; the sentence names it.
    """
    if _is_up(settings.home / "run" / "up.lock"):
        raise Conflict(f"mcpweb is running on {settings.home}. Stop it first. Nothing was changed.")
    engine = engine_of(settings.database)
    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table(HostRole.__tablename__):
                return
            seen_after = clock.utcnow() - ALIVE
            rows = connection.execute(
                select(HostRole.name, HostRole.role, HostRole.process).where(HostRole.seen_at > seen_after)
            ).all()
    except SQLAlchemyError:  # nobody works with one that can not be read
        return
    finally:
        engine.dispose()
    if rows:
        names = ", ".join(f"{row.role} on {row.name} (process {row.process})" for row in rows)
        raise Conflict(
            f"Still running, or seen within {ALIVE.total_seconds():.0f} s: {names}. Stop every process on every host "
            "first, and wait as long for those that were killed. Nothing was changed."
        )


def _is_up(lock: Path) -> bool:
    try:
        with lock.open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    except OSError:
        pass
    return False
