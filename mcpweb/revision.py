"""Whether the database is one that this program can work on: asked at the first request and every few seconds then."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import Connection, NullPool, String, create_engine, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, mapped_column

from mcpweb.database import REVISION, Base, db, prepare_engine

log = logging.getLogger(__name__)

ASK_S = 3.0
ASK_WRONG_S = 0.2
"""Whoever waits for a migration is let in as soon as it is done; everybody is refused meanwhile, so asking is cheap."""
SENTENCE = "The database is being brought to another version of mcpweb."
_ONLY = 1


class Compatibility(Base):
    """Which programs may serve on these tables: one row, which a migration that takes something away moves on."""

    __tablename__ = "compatibility"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, default=_ONLY)
    oldest: Mapped[str] = mapped_column(String(32))
    """The revision of the oldest program that still finds everything it needs."""


def is_right(connection: Connection) -> bool:
    """Whether this program may work on the database: at its own revision, or at a newer one that it can stand.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    # A database that is still empty is no error, which the database log would show at every first start.
    if not inspect(connection).has_table("alembic_version"):
        return False
    found = connection.scalar(text("SELECT version_num FROM alembic_version")) or ""
    if found == REVISION:
        return True
    if not found.isdigit() or found < REVISION:
        return False
    oldest = connection.scalar(select(Compatibility.oldest))
    return oldest is not None and oldest <= REVISION


class RevisionWatch:
    """What was found a moment ago. Only the first request waits for it, and those after a wrong one.

    A database that does not answer says nothing about its revision: what was found before goes on to hold.
    """

    def __init__(self, app_context: Callable[[], AbstractContextManager[Any]]) -> None:
        self._app_context = app_context
        self._is_right: bool | None = None
        self._asked_at = float("-inf")
        self._asking = threading.Lock()

    @property
    def is_right(self) -> bool:
        """Whether requests may be served. By the machine's clock: a real migration is waited for."""
        age_s = time.monotonic() - self._asked_at
        if self._is_right and age_s > ASK_S:
            self._asked_at = time.monotonic()
            threading.Thread(target=self._ask, name="revision", daemon=True).start()
        elif not self._is_right and age_s > ASK_WRONG_S:
            self._ask()
        return self._is_right is not False

    def _look(self) -> bool:
        """On a connection of its own: those of the pages may all be in use, by whoever waits for the migration."""
        with self._app_context():
            url = db.engine.url
        engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
        prepare_engine(engine)
        with engine.connect() as connection:
            return is_right(connection)

    def _ask(self) -> None:
        asked_at = time.monotonic()
        with self._asking:
            if self._asked_at > asked_at:  # somebody has asked while this one waited
                return
            found = self._is_right
            try:
                found = self._look()
            except SQLAlchemyError as error:
                log.debug("the revision can not be asked for", extra={"error": type(error).__name__})
            if found is False and self._is_right is not False:
                log.error("the database has another revision than this program needs", extra={"needs": REVISION})
            elif found and self._is_right is False:
                log.info("the database has the revision that this program needs")
            self._is_right, self._asked_at = found, time.monotonic()
