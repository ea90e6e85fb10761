"""How much instances are used, as pages show it: by time, by tool, today, and as a line of hours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple
from uuid import UUID

from sqlalchemy import func, select

from mcpweb import clock
from mcpweb.database import db
from mcpweb.instances.models import BUCKETS_MS, UsageRollup

Bucket = Literal["hour", "day"]

_BUCKETS = (*(f"ms_{bound}" for bound in BUCKETS_MS), "ms_more")
_SUMS = [func.sum(getattr(UsageRollup, name)) for name in ("calls", "errors", *_BUCKETS)]


class Span(NamedTuple):
    """The tool calls of an hour or a day; durations in milliseconds, None without a call."""

    start: datetime
    calls: int
    errors: int
    p50_ms: float | None
    p95_ms: float | None


class ToolUse(NamedTuple):
    """The calls of one tool."""

    tool: str
    calls: int
    errors: int
    p50_ms: float | None
    p95_ms: float | None


def total(instance_id: UUID, since: datetime) -> Span:
    """All calls from the hour of `since` on."""
    sums = db.session.execute(
        select(*_SUMS).where(UsageRollup.instance_id == instance_id, UsageRollup.hour >= _hour(since))
    ).one()
    return Span(since, *_figures([int(one or 0) for one in sums]))


def by_time(instance_id: UUID, since: datetime, bucket: Bucket) -> list[Span]:
    """The hours or UTC days that had a call, from the hour of `since` on, oldest first."""
    rows = db.session.execute(
        select(UsageRollup.hour, *_SUMS)
        .where(UsageRollup.instance_id == instance_id, UsageRollup.hour >= _hour(since))
        .group_by(UsageRollup.hour)
        .order_by(UsageRollup.hour)
    )
    sums: dict[datetime, list[int]] = {}
    for hour, *some in rows:
        start = hour if bucket == "hour" else hour.replace(hour=0)
        sums[start] = [int(one) + before for one, before in zip(some, sums.get(start, [0] * len(some)), strict=True)]
    return [Span(start, *_figures(some)) for start, some in sums.items()]


def by_tool(instance_id: UUID, since: datetime, most: int) -> list[ToolUse]:
    """The tools called most often from the hour of `since` on, most calls first."""
    rows = db.session.execute(
        select(UsageRollup.tool, *_SUMS)
        .where(UsageRollup.instance_id == instance_id, UsageRollup.hour >= _hour(since))
        .group_by(UsageRollup.tool)
        .order_by(func.sum(UsageRollup.calls).desc(), UsageRollup.tool)
        .limit(most)
    )
    return [ToolUse(tool, *_figures([int(one) for one in some])) for tool, *some in rows]


def percentile(buckets: Sequence[int], share: float) -> float | None:
    """The duration in milliseconds below which that share of the calls stayed; None without a call.

    Within a bucket the calls are taken as spread evenly; of the last one, which has no bound, only its start is known.
    """
    total, below = sum(buckets), 0
    if not total:
        return None
    bounds = (0, *BUCKETS_MS)
    for number, calls in enumerate(buckets[: len(BUCKETS_MS)]):
        if calls and below + calls >= share * total:
            low, high = bounds[number], bounds[number + 1]
            return low + (high - low) * max(share * total - below, 0) / calls
        below += calls
    return float(BUCKETS_MS[-1])


def calls_today(instance_ids: Iterable[UUID]) -> dict[UUID, int]:
    """The tool calls of each since midnight, UTC."""
    found = dict.fromkeys(instance_ids, 0)
    for instance_id, _, calls in _by_hour(found, clock.utcnow().replace(hour=0)):
        found[instance_id] += calls
    return found


def sparkline(instance_ids: Iterable[UUID], hours: int = 24) -> dict[UUID, list[int]]:
    """The tool calls of each in every one of the last hours, the present one last."""
    first = _hour(clock.utcnow()) - timedelta(hours=hours - 1)
    found = {instance_id: [0] * hours for instance_id in instance_ids}
    for instance_id, hour, calls in _by_hour(found, first):
        if (place := (hour - first) // timedelta(hours=1)) < hours:
            found[instance_id][place] += calls
    return found


def _by_hour(instance_ids: Iterable[UUID], since: datetime) -> list[tuple[UUID, datetime, int]]:
    rows = db.session.execute(
        select(UsageRollup.instance_id, UsageRollup.hour, func.sum(UsageRollup.calls))
        .where(UsageRollup.instance_id.in_(list(instance_ids)), UsageRollup.hour >= _hour(since))
        .group_by(UsageRollup.instance_id, UsageRollup.hour)
    )
    return [(instance_id, hour, int(calls)) for instance_id, hour, calls in rows]


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _figures(sums: Sequence[Any]) -> tuple[int, int, float | None, float | None]:
    calls, errors, *buckets = sums
    return calls, errors, percentile(buckets, 0.5), percentile(buckets, 0.95)
