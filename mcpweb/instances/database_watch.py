"""Whether the database answers: what is remembered counts only as long as somebody could have changed it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from mcpweb import clock
from mcpweb.database import connect_args, db, hang_up, prepare_engine

log = logging.getLogger(__name__)

ASK_S = 1.0
COUNTS_S = 3.0
"""How long an answer counts. By then the next question has waited for too long, so nobody waits with it."""
_PATIENCE_S = 1.5
_HANG_UP_S = 1.0
"""How much longer a silent server is waited for, before everybody's connections to it are cut."""
_IDLE_S = 60.0
_QUESTION = text("SELECT count(*) FROM service")


class DatabaseWatch:
    """Asks once a second, on a thread and a connection of its own, for as long as somebody wants to know.

    A server that neither answers nor refuses would hold everybody who asks it, pages too; it is hung up on.
    """

    def __init__(self, app_context: Callable[[], AbstractContextManager[Any]]) -> None:
        self._app_context = app_context
        self._answered_at = float("-inf")
        self._wanted_at = float("-inf")
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self.is_away = False
        """Whether asking it is pointless at the moment: the last question failed, or waits for too long."""

    @property
    def is_there(self) -> bool:
        """Whether it has answered a moment ago."""
        self._wanted_at = clock.monotonic()
        return self._wanted_at - self._answered_at < COUNTS_S

    def note_answer(self, asked_at: float) -> None:
        """Somebody else had an answer to what was asked at this time (monotonic); from now on, watch."""
        self._answered_at, self._wanted_at = max(self._answered_at, asked_at), clock.monotonic()
        if self._thread is None or not self._thread.is_alive():  # a forked process needs its own
            with self._starting:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._watch, name="database watch", daemon=True)
                    self._thread.start()

    def _watch(self) -> None:
        pause = threading.Event()
        try:
            with ThreadPoolExecutor(1, "database question") as asker, self._app_context():
                engine = _engine()
                while self.is_away or clock.monotonic() - self._wanted_at < _IDLE_S:
                    self._wait_for(asker.submit(_ask, engine))
                    pause.wait(ASK_S)
        finally:
            self.is_away = False

    def _wait_for(self, answer: Future[float]) -> None:
        for patience_s, then in ((_PATIENCE_S, self._call_away), (_HANG_UP_S, hang_up), (None, hang_up)):
            try:
                self._answered_at = answer.result(patience_s)
            except TimeoutError:
                then()
            except SQLAlchemyError as error:
                self._call_away(type(error).__name__)
                return
            else:
                self.is_away = False
                return

    def _call_away(self, why: str = "it is silent") -> None:
        if not self.is_away:
            log.error("the database does not answer, calls are refused", extra={"error": why})
        self.is_away = True


def _engine() -> Engine:
    """A way to the database beside the pool, which may be empty when all is well."""
    url = db.engine.url
    arguments = connect_args(url.drivername)
    engine = create_engine(url, pool_size=1, max_overflow=0, hide_parameters=True, connect_args=arguments)
    prepare_engine(engine)
    return engine


def _ask(engine: Engine) -> float:
    """When the question was asked, once it is answered."""
    asked_at = clock.monotonic()
    with engine.connect() as connection:
        connection.execute(_QUESTION)
    return asked_at
