"""Whether the database answers: what is remembered counts only as long as somebody could have changed it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from mcpweb.database import db, prepare_engine

log = logging.getLogger(__name__)

ASK_S = 1.0
COUNTS_S = 3.0
"""How long an answer counts. By then the next question has waited for too long, so nobody waits with it."""
_PATIENCE_S = 1.5
_IDLE_S = 60.0
_QUESTION = text("SELECT count(*) FROM service")


class DatabaseWatch:
    """Asks once a second, on a thread and a connection of its own, for as long as somebody wants to know.

    It goes by the machine's clock, not by the program's, which can be set: a real server is waited for.
    """

    def __init__(self, app_context: Callable[[], AbstractContextManager[Any]]) -> None:
        self._app_context = app_context
        self._answered_at = float("-inf")
        self._wanted_at = float("-inf")
        self._asked_at: float | None = None
        """When the question was asked that has no answer yet."""
        self._failed = False
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    @property
    def is_there(self) -> bool:
        """Whether it has answered a moment ago."""
        self._wanted_at = time.monotonic()
        return self._wanted_at - self._answered_at < COUNTS_S

    @property
    def is_away(self) -> bool:
        """Whether asking it is pointless at the moment: the last question failed, or waits for too long."""
        asked_at = self._asked_at
        return self._failed or (asked_at is not None and time.monotonic() - asked_at > _PATIENCE_S)

    def note_answer(self, asked_at: float) -> None:
        """Somebody else had an answer to what was asked at this time of `time.monotonic`; from now on, watch."""
        self._answered_at, self._wanted_at = max(self._answered_at, asked_at), time.monotonic()
        if self._thread is None or not self._thread.is_alive():  # a forked process needs its own
            with self._starting:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._watch, name="database watch", daemon=True)
                    self._thread.start()

    def _watch(self) -> None:
        pause = threading.Event()
        try:
            with self._app_context():
                engine = _engine(db.engine)
            while self._failed or time.monotonic() - self._wanted_at < _IDLE_S:
                self._ask(engine)
                pause.wait(ASK_S)
        finally:
            self._asked_at, self._failed = None, False

    def _ask(self, engine: Engine) -> None:
        self._asked_at = asked_at = time.monotonic()
        try:
            with engine.connect() as connection:
                connection.execute(_QUESTION)
        except SQLAlchemyError as error:
            if not self._failed:
                log.error("the database does not answer, calls are refused", extra={"error": type(error).__name__})
            self._failed = True
        else:
            self._answered_at, self._failed = asked_at, False
        self._asked_at = None


def _engine(pages: Engine) -> Engine:
    """A way to the same database beside the pool of the pages, which may be used up when all is well."""
    engine = create_engine(pages.url, pool_size=1, max_overflow=0, pool_pre_ping=True, hide_parameters=True)
    prepare_engine(engine)
    return engine
