"""PostgreSQL that falls silent is given up in seconds, so that the threads of a web process do not all wait for it."""

from __future__ import annotations

import select
from functools import partial
from typing import Any

from sqlalchemy import Engine, event

from mcpweb import clock

_LINE = {
    "connect_timeout": 2,  # whole seconds, and the least that libpq takes
    "tcp_user_timeout": 10_000,  # milliseconds
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
"""A question that is under way when the server's host vanishes ends with an error after half a minute."""
_PING_S = 1.0


def watch(engine: Engine) -> None:
    """Bound the time for a new connection, and the question by which a pooled one is tried before it is used."""

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
        for name, value in _LINE.items():
            parameters.setdefault(name, value)

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
