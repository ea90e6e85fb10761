"""What happens in an installation, as the rows that others write; and the minutes in which somebody looks at them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select

from mcpweb import clock
from mcpweb.alerts import evaluation
from mcpweb.alerts.models import Alert, AlertMessage
from mcpweb.alerts.questions import Question, Reading
from mcpweb.alerts.rules import RULES
from mcpweb.database import db, transaction
from mcpweb.instances.models import BUCKETS_MS, TrafficMinute
from mcpweb.jobs import alerting
from mcpweb.jobs.models import JobRun
from mcpweb.monitoring.models import HostRole, ResourceSample
from mcpweb.policies import PolicyRow

HOST = "aaaabbbbcccc"
MINUTE = timedelta(minutes=1)


def begin() -> datetime:
    """A whole minute in the past, so that rows of the next half hour are none of the future."""
    return clock.utcnow().replace(second=0, microsecond=0) - timedelta(minutes=60)


def traffic(at: datetime, calls: int = 100, errors: int = 0, upstream: int = 0, ms: int = 50, service: str = "github"):
    """A minute's calls, all of which took as long."""
    buckets = {f"ms_{bound}": 0 for bound in (*BUCKETS_MS, "more")}
    buckets[f"ms_{ms}"] = calls
    add(
        TrafficMinute(
            host=HOST,
            minute=at,
            service=service,
            calls=calls,
            errors=errors + upstream,
            upstream_errors=upstream,
            **buckets,
        )
    )


def sample(at: datetime, disk: int = 40, behind_mb: int = 0, host: str = HOST):
    """What a host used; the disk in percent."""
    add(
        ResourceSample(
            host=host,
            at=at,
            cpu_percent=1.0,
            memory_used=1,
            memory_total=2,
            disk_used=disk,
            disk_total=100,
            open_files=1,
            connections=1,
            index_behind=behind_mb * 1_000_000,
        )
    )


def heard(at: datetime, role: str, host: str = HOST, name: str = "web-1"):
    """A process says that it is there."""
    with transaction():
        row = HostRole(host=host, role=role, process=1, name=name, version="1", started_at=at, seen_at=at, figures={})
        db.session.merge(row)


def ran(at: datetime, job: str, state: str = "done", **report: Any):
    """A job has run."""
    add(JobRun(job=job, host=HOST, state=state, started_at=at, finished_at=at, report=report))


def limit(name: str, value: int):
    """An administrator decided."""
    with transaction():
        db.session.merge(PolicyRow(name=name, value=str(value), changed_at=clock.utcnow(), changed_by="carol"))


def add(*rows: Any):
    """Store rows."""
    with transaction():
        for row in rows:
            values = {
                column.key: value for column in row.__table__.columns if (value := getattr(row, column.key)) is not None
            }
            db.session.execute(insert(type(row)).values(values))


def look(at: datetime, **values: float) -> dict[str, object]:
    """Somebody looks; with values, the rules that are named find those, and the others nothing."""
    if not values:
        return evaluation.look(alerting.questions(), at)
    return evaluation.look({**dict.fromkeys(RULES, lambda _: []), **stubs(values)}, at)


def stubs(values: dict[str, float]) -> dict[str, Question]:
    """Questions that find these values."""
    return {name: lambda _, value=value: [Reading(value)] for name, value in values.items()}


def alerts(rule: str = "") -> list[Alert]:
    """Those there are, oldest first."""
    db.session.rollback()
    which = select(Alert).order_by(Alert.id).execution_options(populate_existing=True)
    return [alert for alert in db.session.scalars(which) if rule in ("", alert.rule)]


def opened(rule: str) -> list[str]:
    """The subjects of a rule with an open alert."""
    return [alert.subject for alert in alerts(rule) if alert.closed_at is None]


def messages() -> list[AlertMessage]:
    """What is or was to be told."""
    db.session.rollback()
    return list(db.session.scalars(select(AlertMessage).order_by(AlertMessage.id)))
