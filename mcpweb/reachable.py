"""PostgreSQL that falls silent is given up in seconds, so that the threads of a web process do not all wait for it."""

from __future__ import annotations

import select
import time
from functools import partial
from typing import Any

from sqlalchemy import URL, Dialect, Engine, event

from mcpweb import clock

_LINE = {
    "connect_timeout": 2,  # whole seconds, and the least that libpq takes
    "tcp_user_timeout": 10_000,  # milliseconds
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
"""A question that is under way when the server's host vanishes ends with an error after half a minute."""
_PING_S = 0.5
_CONNECT_S = 1.5
"""Whoever waited longer for a connection in vain met silence, and no refusal."""
_SILENT_S = 1.0
"""After silence nobody else tries to connect for so long: a page whose revision was asked for would wait twice."""

_silent_until: dict[URL, float] = {}
"""On the monotonic clock, for all engines of the process."""


def watch(engine: Engine) -> None:
    """Bound the time for a new connection, and the question by which a pooled one is tried before it is used."""

    failure, address = engine.dialect.loaded_dbapi.OperationalError, engine.url

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Dialect, _record: Any, arguments: Any, parameters: dict[str, Any]) -> Any:
        for name, value in _LINE.items():
            parameters.setdefault(name, value)
        began = time.monotonic()
        if began < _silent_until.get(address, began):
            raise failure("the server was silent a moment ago")
        try:
            return dialect.connect(*arguments, **parameters)
        except failure:
            if (now := time.monotonic()) - began > _CONNECT_S:
                _silent_until[address] = now + _SILENT_S
            raise

    engine.dialect.do_ping = partial(_ping, engine.dialect.loaded_dbapi.Error)  # type: ignore[method-assign]


def _ping(failure: type[Exception], connection: Any) -> bool:
    """Send an empty query; returns whether it was answered in time. The pool then forgets its other connections, too.

    The library's own question waits for ever on a connection that is open and silent.
    """
    wire = connection.pgconn
    end = clock.monotonic() + _PING_S
    try:
        wire.send_query(b"")
        wire.flush()
        waiting = select.poll()
        waiting.register(wire.socket, select.POLLIN)
        while True:
            while wire.is_busy():
                if not waiting.poll(max(0.0, end - clock.monotonic()) * 1000):
                    return False
                wire.consume_input()
            if wire.get_result() is None:
                return True
    except failure:
        return False
