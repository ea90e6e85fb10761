"""How much is called by the minute, by service: what went wrong here is told from what went wrong there."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Table, func, select
from sqlalchemy.dialects import postgresql, sqlite

from mcpweb.database import db
from mcpweb.instances.models import BUCKETS_MS, TrafficMinute
from mcpweb.instances.usage import percentile
from mcpweb.jsonrpc import BUSY

_BUCKETS = (*(f"ms_{bound}" for bound in BUCKETS_MS), "ms_more")
_SUMS = ("calls", "errors", "upstream_errors", "faults", *_BUCKETS)
_UPSTREAM = ("key_refused", "scope_missing", "rate_limited", "unavailable")
"""Refusals that are about the service or its key; the others say that what was asked for makes no sense there."""

OURS, THEIRS = "blame_us", "blame_service"
"""Whose fault a failed call is. Its log line says so in these words, so that the lines behind a figure are found."""

Called = tuple[datetime, str, float, Mapping[str, Any]]
"""When, which service, how long it took in milliseconds, and the log line."""


class Traffic(NamedTuple):
    """The calls of a span, and how many of them failed because of us, and because of the service or its key."""

    calls: int = 0
    errors: int = 0
    upstream_errors: int = 0
    faults: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None

    def share(self, count: int) -> float:
        """In percent of the calls; 0 without a call."""
        return 100 * count / self.calls if self.calls else 0.0


def blame(line: Mapping[str, Any]) -> str:
    """OURS or THEIRS, or nothing when the call went well or what was asked for made no sense."""
    if line.get("outcome") == "error" or line.get("rpc_code") == BUSY:
        return OURS
    return THEIRS if line.get("outcome") != "ok" and line.get("refusal") in _UPSTREAM else ""


def count(host: str, calls: Iterable[Called]) -> None:
    """Add tool calls to their minutes, in the open transaction; `host` is the one that answered them."""
    minutes: dict[tuple[datetime, str], dict[str, int]] = defaultdict(lambda: dict.fromkeys(_SUMS, 0))
    for at, service, duration_ms, line in calls:
        sums, whose = minutes[at.replace(second=0, microsecond=0), service[:31]], blame(line)
        sums["calls"] += 1
        sums["errors"] += line.get("outcome") != "ok"
        sums["upstream_errors"] += whose == THEIRS
        sums["faults"] += whose == OURS
        sums[_BUCKETS[bisect_left(BUCKETS_MS, duration_ms)]] += 1
    if not minutes:
        return
    table: Table = TrafficMinute.__table__  # type: ignore[assignment]
    insert = (postgresql if db.engine.dialect.name == "postgresql" else sqlite).insert(table)
    statement = insert.on_conflict_do_update(
        index_elements=["host", "minute", "service"],
        set_={name: table.c[name] + insert.excluded[name] for name in _SUMS},
    )
    rows = [{"host": host, "minute": minute, "service": service, **sums} for (minute, service), sums in minutes.items()]
    db.session.connection().execute(statement, rows)


def by_minute(since: datetime) -> dict[datetime, Traffic]:
    """The minutes that had a call."""
    rows = db.session.execute(
        select(TrafficMinute.minute, *_sums()).where(TrafficMinute.minute >= since).group_by(TrafficMinute.minute)
    )
    return {minute: _traffic(sums) for minute, *sums in rows}


def total(since: datetime) -> Traffic:
    """All calls since then."""
    return _traffic(db.session.execute(select(*_sums()).where(TrafficMinute.minute >= since)).one())


def by_service(since: datetime) -> dict[str, Traffic]:
    """The services that had a call."""
    rows = db.session.execute(
        select(TrafficMinute.service, *_sums()).where(TrafficMinute.minute >= since).group_by(TrafficMinute.service)
    )
    return {service: _traffic(sums) for service, *sums in rows}


def _sums() -> list[Any]:
    return [func.sum(getattr(TrafficMinute, name)) for name in _SUMS]


def _traffic(sums: Sequence[Any]) -> Traffic:
    calls, errors, upstream, faults, *buckets = (int(one or 0) for one in sums)
    return Traffic(calls, errors, upstream, faults, percentile(buckets, 0.5), percentile(buckets, 0.95))
