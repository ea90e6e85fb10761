"""What the dashboard shows. All of it is a handful of indexed queries, so that it may be looked at every minute."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from mcpweb.accounts.models import Role, User
from mcpweb.admin import error_groups
from mcpweb.admin import maintenance_words as words
from mcpweb.admin.log_filter import Args, LogFilter
from mcpweb.admin.tiles import tiles
from mcpweb.database import db
from mcpweb.jobs import health, standing
from mcpweb.logs.index import LogIndex
from mcpweb.logs.models import AuditEvent
from mcpweb.monitoring import figures
from mcpweb.monitoring.host_health import Asked
from mcpweb.settings import Settings

_CHANGES = 2000
"""Among so many of the newest changes those of administrators are looked for."""
_SHOWN = 10
_NEARBY = timedelta(minutes=1)


def dashboard(settings: Settings, index: LogIndex, now: datetime) -> dict[str, Any]:
    """Figures, health, what administrators did, and what went wrong."""
    asked = Asked(settings)
    checks = health.checks(asked, now, words.title)
    states = Counter(check.state for check in checks)
    hosts = sorted({asked.here, *(one.host for one in asked.alive)})
    return {
        "tiles": tiles(figures.read(now, hosts)),
        "checks": [asdict(check) | {"host": asked.names.get(check.host, check.host)} for check in checks],
        "summary": standing.in_words(states["bad"], states["warn"]) + ".",
        "looked_at": now,
        "actions": _actions(),
        **error_groups.recent(index, now),
    }


def _actions() -> list[dict[str, Any]]:
    last = db.session.scalar(select(AuditEvent.seq).order_by(AuditEvent.seq.desc()).limit(1)) or 0
    admins = select(User.email).where(User.role == Role.ADMIN)
    rows = db.session.scalars(
        select(AuditEvent)
        .where(AuditEvent.seq > last - _CHANGES, AuditEvent.actor.in_(admins))
        .order_by(AuditEvent.seq.desc())
        .limit(_SHOWN)
    )
    return [
        {"at": row.at, "action": row.action, "actor": row.actor, "subject": row.subject, "line": _line_of(row)}
        for row in rows
    ]


def _line_of(event: AuditEvent) -> Args:
    """The search for its line in the audit log, which has its digest and all that is known of it."""
    asked = LogFilter(text=event.digest.hex(), equal={"category": ("audit",)})
    return asked.between(event.at - _NEARBY, event.at + _NEARBY).args()
