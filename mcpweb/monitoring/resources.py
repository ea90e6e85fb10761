"""What the hosts used over time, from their samples: by minutes, quarters of an hour, or hours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Integer, cast, func, select

from mcpweb.database import db
from mcpweb.monitoring.models import ResourceSample

_MOST = ("cpu_percent", "memory_used", "disk_used", "open_files", "connections")
_LAST = ("memory_total", "disk_total")


@dataclass(frozen=True, slots=True)
class Span:
    """How far back is looked, and how long each step is of which the mean is shown."""

    words: str
    length: timedelta
    step: timedelta

    def starts(self, now: datetime) -> list[datetime]:
        """When each step begins, the present one last."""
        step_s = self.step.total_seconds()
        last, count = int(now.timestamp() // step_s), self.length // self.step
        return [datetime.fromtimestamp(number * step_s, UTC) for number in range(last - count + 1, last + 1)]


SPANS: Mapping[str, Span] = {
    "hour": Span("Last hour", timedelta(hours=1), timedelta(minutes=1)),
    "day": Span("Last day", timedelta(days=1), timedelta(minutes=15)),
    "week": Span("Last week", timedelta(days=7), timedelta(hours=2)),
}


@dataclass(frozen=True, slots=True)
class Use:
    """What a host used in one step, on average; sizes in bytes."""

    cpu_percent: float
    memory_used: float
    disk_used: float
    open_files: float
    connections: float
    memory_total: float
    disk_total: float


def read(span: Span, now: datetime) -> dict[str, Sequence[tuple[datetime, Use | None]]]:
    """The steps of each host that has a sample in the span, oldest first; None where it has none."""
    starts = span.starts(now)
    step = _step(span.step)
    rows = db.session.execute(
        select(
            ResourceSample.host,
            step.label("step"),
            *(func.avg(getattr(ResourceSample, name)) for name in _MOST),
            *(func.max(getattr(ResourceSample, name)) for name in _LAST),
        )
        .where(ResourceSample.at >= starts[0])
        .group_by(ResourceSample.host, step)
        .order_by(ResourceSample.host)
    )
    found: dict[str, dict[int, Use]] = {}
    for host, number, *values in rows:
        found.setdefault(host, {})[int(number)] = Use(*map(float, values))
    seconds = span.step.total_seconds()
    return {
        host: [(start, uses.get(int(start.timestamp() // seconds))) for start in starts] for host, uses in found.items()
    }


def _step(length: timedelta) -> ColumnElement[Any]:
    """The number of steps since 1970."""
    if db.engine.dialect.name == "postgresql":
        seconds = cast(func.floor(func.extract("epoch", ResourceSample.at)), Integer)
    else:
        seconds = cast(func.strftime("%s", ResourceSample.at), Integer)
    return seconds.op("/")(int(length.total_seconds()))
