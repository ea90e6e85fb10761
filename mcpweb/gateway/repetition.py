"""How often an instance made the same call in a row: a model that runs in a circle is to be told so."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from mcpweb import clock

_PERIOD_S = 60
_TOO_DEEP = b"nested too deeply"


class Circle(NamedTuple):
    """A call that came too often in a row: how often, and when it may come again."""

    times: int
    end: datetime


class Repetitions:
    """For each instance that called in this minute: its last call, as a hash, and how often it came in a row."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._minute = 0
        self._runs: dict[UUID, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def count(self, instance_id: UUID, params: Mapping[str, Any]) -> Circle | None:
        """Count a call with these parameters; returns None while it came no more than `limit` times in a row.

        Counted in this process alone, and anew in every minute. `_meta` differs from call to call and is not looked at.
        """
        call = _hash(params)
        with self._lock:
            minute = int(clock.utcnow().timestamp()) // _PERIOD_S
            if minute != self._minute:
                self._minute = minute
                self._runs = {}
            last, times = self._runs.get(instance_id, (call, 0))
            times = times + 1 if call == last else 1
            self._runs[instance_id] = (call, times)
        if times <= self._limit:
            return None
        return Circle(times, datetime.fromtimestamp((minute + 1) * _PERIOD_S, UTC))


def _hash(params: Mapping[str, Any]) -> int:
    asked = {name: value for name, value in params.items() if name != "_meta"}
    try:
        return hash(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS))
    except TypeError:
        return hash(_TOO_DEEP)
