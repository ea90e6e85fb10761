"""The installation in figures, each with its last hour: from samples and minutes, which are few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import redis
from sqlalchemy import select

from mcpweb import queue
from mcpweb.database import db
from mcpweb.instances import traffic
from mcpweb.instances.traffic import Traffic
from mcpweb.monitoring import sampling
from mcpweb.monitoring.models import InstallationSample

MINUTE = timedelta(minutes=1)
MINUTES = 60
_FRESH = timedelta(minutes=3)

Line = Sequence[float | None]
"""A value for each of the last minutes; None where none is known. Of calls the last one is the last whole minute."""


@dataclass(frozen=True, slots=True)
class Figures:
    """How much there is, and what was called in the last hour; `waiting` is None when Redis does not answer."""

    since: datetime
    """The first minute of the hour."""
    users: int
    admins: int
    instances: int
    active_instances: int
    hour: Traffic
    per_minute: float
    """Calls, on average of the last five whole minutes."""
    waiting: int | None
    cache_share: float | None
    """How many of the last hour's accesses were in memory, in percent; None without any."""
    lines: Mapping[str, Line]
    """By figure: users, instances, calls, faults, upstream (both in percent), p95_ms, waiting, cache (in percent)."""


def read(now: datetime, hosts: Sequence[str]) -> Figures:
    """Read them; users and instances are those of the newest minute that has a sample. `hosts` may have own jobs."""
    first = now.replace(second=0, microsecond=0) - (MINUTES - 1) * MINUTE
    minutes = [first + number * MINUTE for number in range(MINUTES)]
    samples = _samples(first)
    calls = traffic.by_minute(first - MINUTE)
    whole = [calls.get(minute - MINUTE, Traffic()) for minute in minutes]
    newest = samples[max(samples)] if samples else None
    if newest is not None and now - newest.minute < _FRESH:
        counts = {name: getattr(newest, name) for name in sampling.COUNTS}
    else:
        counts = sampling.counts(db.session.connection())
    hits, misses = (sum(getattr(one, name) for one in samples.values()) for name in ("cache_hits", "cache_misses"))
    return Figures(
        since=first,
        **counts,
        hour=traffic.total(first),
        per_minute=sum(one.calls for one in whole[-5:]) / 5,
        waiting=_waiting(hosts),
        cache_share=100 * hits / (hits + misses) if hits + misses else None,
        lines=_sampled([samples.get(minute) for minute in minutes]) | _called(whole),
    )


def _samples(since: datetime) -> dict[datetime, InstallationSample]:
    rows = db.session.scalars(select(InstallationSample).where(InstallationSample.minute >= since))
    return {row.minute: row for row in rows}


def _sampled(samples: Sequence[InstallationSample | None]) -> dict[str, Line]:
    return {
        "users": [one.users if one else None for one in samples],
        "instances": [one.active_instances if one else None for one in samples],
        "waiting": [one.waiting if one else None for one in samples],
        "cache": [
            100 * one.cache_hits / (one.cache_hits + one.cache_misses)
            if one and one.cache_hits + one.cache_misses
            else None
            for one in samples
        ],
    }


def _called(minutes: Sequence[Traffic]) -> dict[str, Line]:
    return {
        "calls": [one.calls for one in minutes],
        "faults": [one.share(one.faults) for one in minutes],
        "upstream": [one.share(one.upstream_errors) for one in minutes],
        "p95_ms": [one.p95_ms for one in minutes],
    }


def _waiting(hosts: Sequence[str]) -> int | None:
    try:
        return queue.depth(hosts)
    except redis.RedisError:
        return None
