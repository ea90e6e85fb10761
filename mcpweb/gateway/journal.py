"""Writes the record of a call: to the instance's own log when the token opened it, else to the security log."""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter
from typing import Any

from mcpweb.gateway.record import CallRecord
from mcpweb.instances import traffic
from mcpweb.logs import events

_NAMES = tuple(item.name for item in fields(CallRecord))
_values = attrgetter(*_NAMES)


def write(record: CallRecord) -> None:
    """One line a call; empty fields are left out. What failed by our fault or the service's says whose in `blame`."""
    named = zip(_NAMES, _values(record), strict=True)
    line: dict[str, Any] = {name: value for name, value in named if value not in ("", None)}
    line["duration_ms"] = round(record.duration_ms, 2)
    line["upstream_ms"] = round(record.upstream_ms, 2)
    if whose := traffic.blame(line):
        line["blame"] = whose
    if record.user_id is None or record.instance_id is None:
        events.security("call refused", level="warning", **line)
    else:
        events.call(record.user_id, record.instance_id, line, failed=record.outcome != "ok")
