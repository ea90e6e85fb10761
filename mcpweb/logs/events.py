"""What the program says: `logging` for modules, and one function for each category with a form of its own."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any
from uuid import UUID

from mcpweb import clock
from mcpweb.errors import Unavailable
from mcpweb.logs import context
from mcpweb.logs.lines import entry, line
from mcpweb.logs.writing import LogFiles

log = logging.getLogger(__name__)

CATEGORIES = ("app", "security", "audit", "performance", "database")

_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_files: LogFiles | None = None


class JsonHandler(logging.Handler):
    """Sends what goes through `logging` to the `app` category, or to `database` for SQLAlchemy's loggers."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record with its extra fields, and its traceback without local variables."""
        category = "database" if record.name.startswith("sqlalchemy") else "app"
        extra = {name: value for name, value in vars(record).items() if name not in _ATTRIBUTES}
        try:
            message = record.getMessage()
        except Exception:  # what was logged wrongly is a bug of its own; it must not become one of the work at hand
            message = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
        if record.exc_info:
            extra["traceback"] = logging.Formatter().formatException(record.exc_info)
        at = datetime.fromtimestamp(record.created, UTC)
        _write(category, at, record.levelname.lower(), message, {"logger": record.name, **extra})


def start(files: LogFiles, level: int = logging.INFO) -> None:
    """Send the whole program's logging to these files."""
    global _files
    _files = files
    root = logging.getLogger()
    root.handlers = [JsonHandler()]
    root.setLevel(level)
    for name in ("rq.worker", "rq.queue", "werkzeug", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)


def last_words() -> None:
    """Log what ends a thread or the process, which nobody else would; the process also says it on its error output."""
    threading.excepthook = _thread_failed
    sys.excepthook = _process_failed


def adopt(name: str) -> None:
    """Also take the lines of a logger that keeps to itself, such as that of a web server."""
    logger = logging.getLogger(name)
    if not any(isinstance(handler, JsonHandler) for handler in logger.handlers):
        logger.addHandler(JsonHandler())


def _thread_failed(failed: threading.ExceptHookArgs) -> None:
    if failed.exc_value is not None and not isinstance(failed.exc_value, SystemExit):
        name = failed.thread.name if failed.thread else ""
        log.error("a thread failed", exc_info=failed.exc_value, extra={"thread_name": name})


def _process_failed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        log.critical("the process failed", exc_info=(kind, error, trace))
    sys.__excepthook__(kind, error, trace)


def files() -> LogFiles:
    """The log folder in use.

    Raises:
        RuntimeError: logging was not started.
    """
    if _files is None:
        raise RuntimeError("logging was not started")
    return _files


def security(message: str, *, level: str = "info", **fields: Any) -> None:
    """A sign-in, a refusal, a rate limit, a credential check: what an investigator asks for."""
    _write("security", clock.utcnow(), level, message, fields)


def audit(message: str, **fields: Any) -> None:
    """A change, as it also stands in the audit table."""
    _write("audit", clock.utcnow(), "info", message, fields)


def require_audit() -> None:
    """Make sure, before a change is committed, that the audit log will take its line.

    Raises:
        Unavailable: the disk is full, or the log can not be written.
    """
    if _files is None:
        return
    try:
        _files.require("audit", clock.utcnow())
    except OSError:
        raise Unavailable(
            "Nothing was changed, because the audit log can not be written at the moment. Try again later, or tell "
            "the operator of this server that the disk of the logs may be full."
        ) from None


def app(message: str, **fields: Any) -> None:
    """Something the program did by itself."""
    _write("app", clock.utcnow(), "info", message, fields)


def database(message: str, *, level: str = "warning", **fields: Any) -> None:
    """A slow statement, an error of the database, or a connection that was lost."""
    _write("database", clock.utcnow(), level, message, fields)


def request(message: str, **fields: Any) -> None:
    """One page served, with its duration in milliseconds."""
    _write("performance", clock.utcnow(), "info", message, fields)


def call(owner_id: int, instance_id: UUID, fields: Mapping[str, Any], *, failed: bool) -> None:
    """One MCP request: a line in `performance` and in the instance's `access`, and in its `error` when it failed."""
    at = clock.utcnow()
    encoded = line(entry("performance", at, "warning" if failed else "info", "call", fields))
    out = files()
    out.system("performance", at, encoded)
    out.instance(owner_id, instance_id, "access", at, encoded)
    if failed:
        out.instance(owner_id, instance_id, "error", at, encoded)


def instance(owner_id: int, instance_id: UUID, message: str, **fields: Any) -> None:
    """Something that happened to an instance, in its own `app` log."""
    at = clock.utcnow()
    encoded = line(entry("app", at, "info", message, {**context.current(), **fields}))
    files().instance(owner_id, instance_id, "app", at, encoded)


def _write(category: str, at: datetime, level: str, message: str, fields: Mapping[str, Any]) -> None:
    if _files is not None:
        _files.system(category, at, line(entry(category, at, level, message, {**context.current(), **fields})))
