"""Tools that report on their way: their steps, and the event stream that carries them (MCP, Streamable HTTP)."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Generator, Iterator
from typing import Any, get_args

from mcpweb import jsonrpc
from mcpweb.catalog.results import LogLevel, LogMessage, Progress
from mcpweb.gateway import outcome
from mcpweb.gateway.exchange import Exchange
from mcpweb.gateway.revisions import LOG_LEVEL
from mcpweb.jsonrpc import INTERNAL_ERROR, RpcError

log = logging.getLogger(__name__)

LEVELS: tuple[str, ...] = get_args(LogLevel)
"""Of log messages, the least first."""


class Steps:
    """A running generator tool. Its notifications are encoded for this client, or dropped when it wants none."""

    def __init__(self, exchange: Exchange, running: Generator[Any, None, Any]) -> None:
        self._exchange = exchange
        self._running = running
        self._done = -math.inf
        self._token = exchange.meta.get("progressToken")
        self._least_level = _least_level(exchange)
        self.result: dict[str, Any] = {}
        """Empty until the tool is through."""

    @property
    def heard(self) -> bool:
        """Whether the client takes a stream, and any notification at all would be sent on it."""
        return self._exchange.visit.takes_stream and (self._token is not None or self._least_level is not None)

    def advance(self) -> bytes | None:
        """Run to the next notification that the client wants; None when the tool is through and `result` is there.

        Raises:
            RpcError: the tool asks for something that the client can not give.
        """
        try:
            while True:
                notification = self._encode(next(self._running))
                if notification is not None:
                    return notification
        except StopIteration as end:
            self.result = outcome.returned(self._exchange, end.value)
        except BaseException as error:  # a plugin may raise anything, SystemExit too, and must not end the worker
            self.result = outcome.raised(self._exchange, error)
        return None

    def finish(self) -> dict[str, Any]:
        """Run to the end and give back the result, for a client that hears nothing on the way."""
        while self.advance() is not None:
            pass
        return self.result

    def close(self) -> None:
        """End the tool where it stands: the client went away."""
        try:
            self._running.close()
        except BaseException:  # as in `advance`
            log.exception("tool failed while it was ended")

    def _encode(self, note: Any) -> bytes | None:
        match note:
            case Progress() if isinstance(self._token, str | int) and note.done > self._done:
                self._done = note.done
                said = {"progress": note.done, "total": note.total, "message": note.message}
                params = {name: value for name, value in said.items() if value is not None}
                return jsonrpc.notification("notifications/progress", {"progressToken": self._token, **params})
            case LogMessage() if self._least_level is not None and LEVELS.index(note.level) >= self._least_level:
                return jsonrpc.notification("notifications/message", {"level": note.level, "data": note.data})
            case Progress() | LogMessage():
                return None
            case _:
                raise TypeError(f"a tool yields Progress or LogMessage, not {type(note).__name__}")


class EventStream:
    """The body of a streamed answer: the notifications, then the response, then the end. Made for one iteration."""

    def __init__(self, exchange: Exchange, steps: Steps, first: bytes) -> None:
        self._exchange = exchange
        self._steps = steps
        self._first = first
        self.on_close: list[Callable[[], None]] = []

    def __iter__(self) -> Iterator[bytes]:
        yield _event(self._first)
        id = self._exchange.request.id
        try:
            while (notification := self._steps.advance()) is not None:
                yield _event(notification)
            yield _event(jsonrpc.result(id, self._steps.result))
        except RpcError as error:
            self._exchange.record.fail(error)
            yield _event(jsonrpc.error(error, id))
        except Exception:
            log.exception("stream failed")
            failure = RpcError(INTERNAL_ERROR, "This failed in an unexpected way.")
            self._exchange.record.fail(failure)
            yield _event(jsonrpc.error(failure, id))

    def close(self) -> None:
        """End the tool if it still runs; WSGI servers call this however the answer ends (PEP 3333)."""
        self._steps.close()
        self._exchange.note_upstream()
        while self.on_close:
            self.on_close.pop()()


def _event(message: bytes) -> bytes:
    return b"event: message\ndata: " + message + b"\n\n"


def _least_level(exchange: Exchange) -> int | None:
    """From which level on the client wants log messages; None when it wants none.

    2026-07-28 asks with every request. Before, `logging/setLevel` set it for a session; we keep none, and send all.
    """
    if not exchange.modern:
        return 0
    level = exchange.meta.get(LOG_LEVEL)
    return LEVELS.index(level) if level in LEVELS else None
