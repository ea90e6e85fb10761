"""The installation in six figures, from counters and roll-ups: no table is read that grows with the calls."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import redis
from sqlalchemy import func, select

from mcpweb import queue
from mcpweb.accounts.models import Role, User
from mcpweb.database import db
from mcpweb.instances.house import house
from mcpweb.instances.models import BUCKETS_MS, ServiceRow, UsageRollup
from mcpweb.instances.usage import percentile

_BUCKETS = (*(f"ms_{bound}" for bound in BUCKETS_MS), "ms_more")


@dataclass(frozen=True, slots=True)
class Figures:
    """How much there is, and what was called since a moment; `waiting` is None when Redis does not answer."""

    users: int
    admins: int
    active_instances: int
    instances: int
    since: datetime
    calls: int
    errors: int
    p95_ms: float | None
    waiting: int | None

    @property
    def error_share(self) -> str:
        """In percent of the calls."""
        return f"{100 * self.errors / self.calls:.1f} %" if self.errors else "0 %"


def read(now: datetime) -> Figures:
    """Read them. Calls are counted by the hour, so it is those of this hour and of the one before."""
    since = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    users, admins = db.session.execute(
        select(func.count(), func.count().filter(User.role == Role.ADMIN)).select_from(User)
    ).one()
    total, active = db.session.execute(
        select(func.sum(ServiceRow.total_instances), func.sum(ServiceRow.active_instances))
    ).one()
    columns = [func.sum(getattr(UsageRollup, name)) for name in ("calls", "errors", *_BUCKETS)]
    calls, errors, *buckets = (
        int(one or 0) for one in db.session.execute(select(*columns).where(UsageRollup.hour >= since)).one()
    )
    return Figures(
        users=users,
        admins=admins,
        active_instances=active or 0,
        instances=total or 0,
        since=since,
        calls=calls,
        errors=errors,
        p95_ms=percentile(buckets, 0.95),
        waiting=_waiting(),
    )


def _waiting() -> int | None:
    try:
        return queue.depth([house().propagation.host])
    except redis.RedisError:
        return None
