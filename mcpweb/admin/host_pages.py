"""What the page of the hosts shows: the processes of each, and what it uses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from mcpweb.admin.tiles import NOTHING
from mcpweb.admin.trends import trend
from mcpweb.monitoring import resources
from mcpweb.monitoring.check import size
from mcpweb.monitoring.host_health import Asked
from mcpweb.monitoring.models import HostRole
from mcpweb.monitoring.processes import groups
from mcpweb.monitoring.resources import SPANS, Use
from mcpweb.settings import Settings

_ROWS = 12
"""So many steps of a chart are one row of the table beside it."""

Steps = Sequence[tuple[datetime, Use | None]]


def hosts(settings: Settings, range_name: str, now: datetime) -> dict[str, Any]:
    """All hosts that were heard within a day or have a sample; an unknown range is the last hour."""
    chosen = range_name if range_name in SPANS else "hour"
    span, asked = SPANS[chosen], Asked(settings)
    used = resources.read(span, now)
    ids = sorted({one.host for one in asked.processes} | set(used), key=lambda one: (asked.names.get(one, one), one))
    return {
        "hosts": [
            {
                "id": host,
                "name": asked.names.get(host, host),
                "is_here": host == asked.here,
                "processes": _processes(asked, host),
                **_use(used.get(host, ()), span.words),
            }
            for host in ids
        ],
        "ranges": {name: one.words for name, one in SPANS.items()},
        "chosen": chosen,
    }


def _processes(asked: Asked, host: str) -> list[dict[str, Any]]:
    missing = {id(one) for group in groups(asked.processes, asked.now) for one in group.missing}
    alive = {id(one) for one in asked.alive}
    here = [one for one in asked.processes if one.host == host and id(one) in alive | missing]
    return [_process(one, is_alive=id(one) in alive) for one in here]


def _process(one: HostRole, *, is_alive: bool) -> dict[str, Any]:
    return {
        "role": one.role.capitalize(),
        "number": one.process,
        "is_alive": is_alive,
        "version": one.version,
        "started_at": one.started_at,
        "seen_at": one.seen_at,
        "clock": NOTHING if one.clock_offset_ms is None else f"{one.clock_offset_ms / 1000:+,.1f} s",
    }


def _use(steps: Steps, words: str) -> dict[str, Any]:
    known = [use for _, use in steps if use]
    if not known:
        return {"charts": [], "rows": []}
    last = known[-1]

    def drawn(title: str, name: str, total: float | None, text: Any) -> dict[str, Any]:
        line = [getattr(use, name) if use else None for _, use in steps]
        now = text(getattr(last, name)) + (f" of {text(total)}" if total and name.endswith("_used") else "")
        return {"title": title, "now": now, "trend": trend(line, text, f"{title}, {words.lower()}", total)}

    return {
        "charts": [
            drawn("Processor", "cpu_percent", 100.0, _percent),
            drawn("Memory", "memory_used", last.memory_total, size),
            drawn("Disk", "disk_used", last.disk_total, size),
            drawn("Open files", "open_files", None, _count),
            drawn("Connections", "connections", None, _count),
        ],
        "rows": _rows(steps),
    }


def _rows(steps: Steps) -> list[dict[str, Any]]:
    """The same numbers in a table, newest first: the mean of every twelve steps that have any."""
    rows = []
    for first in range(0, len(steps), _ROWS):
        some = [use for _, use in steps[first : first + _ROWS] if use]
        if some:
            mean = {
                name: sum(getattr(use, name) for use in some) / len(some)
                for name in ("cpu_percent", "memory_used", "disk_used", "open_files", "connections")
            }
            rows.append(
                {
                    "from": steps[first][0],
                    "values": [
                        _percent(mean["cpu_percent"]),
                        size(mean["memory_used"]),
                        size(mean["disk_used"]),
                        _count(mean["open_files"]),
                        _count(mean["connections"]),
                    ],
                }
            )
    return rows[::-1]


def _percent(value: float) -> str:
    return f"{value:.0f} %"


def _count(value: float) -> str:
    return f"{value:,.0f}"
