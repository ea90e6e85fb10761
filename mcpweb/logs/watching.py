"""What the database log says: slow statements, errors, connections that were lost, a pool that is used up.

Statements are logged as they were prepared, with placeholders: parameters are what users typed. What the driver says
about an error is left out for the same reason; its class and code are enough to look it up.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import IntegrityError, TimeoutError
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from mcpweb.logs import events

SLOW_MS = 100.0


class WatchedPool(QueuePool):
    """SQLAlchemy's pool, which says so when all its connections are in use; it has no event for that."""

    def connect(self) -> PoolProxiedConnection:
        """A connection.

        Raises:
            TimeoutError: none became free in time.
        """
        try:
            return super().connect()
        except TimeoutError:
            events.database(
                "all database connections are in use", level="error", size=self.size(), in_use=self.checkedout()
            )
            raise


def watch(engine: Engine) -> None:
    """Log what is slow or fails on this engine; costs two readings of the clock a statement."""

    @event.listens_for(engine, "before_cursor_execute")
    def before(_connection: Any, _cursor: Any, _statement: str, _parameters: Any, execution: Any, _many: bool) -> None:
        execution._mcpweb_began = perf_counter()

    @event.listens_for(engine, "after_cursor_execute")
    def after(_connection: Any, _cursor: Any, statement: str, _parameters: Any, execution: Any, many: bool) -> None:
        duration_ms = (perf_counter() - execution._mcpweb_began) * 1000
        if duration_ms >= SLOW_MS:
            events.database("slow statement", duration_ms=round(duration_ms, 1), statement=statement, many=many)

    @event.listens_for(engine, "handle_error")
    def failed(what: ExceptionContext) -> None:
        cause = what.original_exception
        code = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None)
        # Two that write the same unique value at once are a case that the program expects.
        level = "warning" if isinstance(what.sqlalchemy_exception, IntegrityError) else "error"
        fields = {"error": type(cause).__name__, "code": code, "statement": what.statement}
        events.database("database error", level=level, **fields)

    @event.listens_for(engine.pool, "invalidate")
    def invalidated(_connection: Any, _record: Any, error: BaseException | None) -> None:
        events.database("a database connection was given up", error=type(error).__name__ if error else "")
