"""What the dashboard shows. All of it is a handful of indexed queries, so that it may be looked at every minute."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from mcpweb import policies
from mcpweb.accounts.models import Role, User
from mcpweb.admin import maintenance_words as words
from mcpweb.config import Settings
from mcpweb.database import db
from mcpweb.errors import AppError
from mcpweb.jobs import runs
from mcpweb.jobs.models import JobRun
from mcpweb.logs.index import LogIndex
from mcpweb.logs.models import AuditEvent
from mcpweb.logs.query import Query
from mcpweb.monitoring import figures, health
from mcpweb.monitoring.health import MB, Check
from mcpweb.web.filters import ago

_ERRORS = ("error", "critical")
_LINES = 500
"""So many of the newest lines with an error are grouped."""
_CHANGES = 2000
"""Among so many of the newest changes those of administrators are looked for."""
_SHOWN = 10
_SILENCE = timedelta(minutes=5)
"""Some job runs every 30 seconds."""


def dashboard(settings: Settings, index: LogIndex, now: datetime) -> dict[str, Any]:
    """Figures, health, what administrators did, and what went wrong."""
    found = runs.last_runs()
    checks = [*health.checks(settings), _jobs(found, now), _log_budget(found, settings)]
    return {
        "figures": figures.read(now),
        "checks": sorted(checks, key=lambda check: ("bad", "warn", "good").index(check.state)),
        "actions": _actions(),
        **_errors(index, now),
    }


def _jobs(found: Sequence[JobRun], now: datetime) -> Check:
    wrong = [words.title(run.job) for run in found if run.state in ("failed", "lost")]
    link = "/admin/maintenance"
    if wrong:
        return Check("Jobs", "bad", f"Failed the last time: {', '.join(wrong)}", "Read why, and run them again.", link)
    newest = max((run.started_at for run in found if run.trigger == "schedule"), default=None)
    if newest is None or now - newest > _SILENCE:
        value = f"The last one started {ago(newest)}" if newest else "None has run by the clock yet"
        return Check("Jobs", "warn", value, "See that `mcpweb ticker` and `mcpweb worker` run.", link)
    return Check("Jobs", "good", f"All went well, the last one started {ago(newest)}", link=link)


def _log_budget(found: Sequence[JobRun], settings: Settings) -> Check:
    """As the last maintenance found it: measuring anew would look at every file of every instance."""
    run = next((one for one in found if one.job == "maintain_logs"), None)
    used = run.report.get("used_bytes") if run else None
    link, budget_mb = "/admin/maintenance/logs", policies.value("log_disk_mb", settings)
    if run is None or used is None:
        return Check("Log budget", "good", f"Not measured yet; at most {budget_mb:,} MB", link=link)
    share = used / (budget_mb * MB)
    value = f"{share:.0%} of {budget_mb:,} MB, measured {ago(run.started_at)}"
    if share < 0.9:
        return Check("Log budget", "good", value, link=link)
    return Check("Log budget", "warn", value, "The oldest days go first. Raise the budget to keep them.", link)


def _actions() -> list[dict[str, Any]]:
    last = db.session.scalar(select(AuditEvent.seq).order_by(AuditEvent.seq.desc()).limit(1)) or 0
    admins = select(User.email).where(User.role == Role.ADMIN)
    rows = db.session.scalars(
        select(AuditEvent)
        .where(AuditEvent.seq > last - _CHANGES, AuditEvent.actor.in_(admins))
        .order_by(AuditEvent.seq.desc())
        .limit(_SHOWN)
    )
    return [{"at": row.at, "action": row.action, "actor": row.actor, "subject": row.subject} for row in rows]


def _errors(index: LogIndex, now: datetime) -> dict[str, Any]:
    """The newest errors of a day, grouped by what they say; `errors` is None when the index does not answer."""
    query = Query(since=now - timedelta(hours=24), equal={"level": _ERRORS})
    try:
        lines = index.search(query, limit=_LINES)
    except AppError as error:
        return {"errors": None, "errors_note": error.sentence}
    groups: dict[str, dict[str, Any]] = {}
    for line in lines:
        message = str(line.fields.get("message") or "No message")
        group = groups.setdefault(message, {"message": message, "count": 0, "last_at": line.at})
        group["count"] += 1
    note = f"Of the newest {_LINES} lines." if len(lines) == _LINES else ""
    shown = list(groups.values())[:_SHOWN]
    for group in shown:
        group["search"] = '"' + group["message"].replace('"', " ") + '"'
    return {"errors": shown, "errors_note": note}
