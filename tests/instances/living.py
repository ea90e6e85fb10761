"""Looking at an instance's life from outside: its row, its audit entries, its service's counters, and its end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from flask import Flask

from mcpweb.database import db, now, transaction
from mcpweb.instances.house import house
from mcpweb.instances.models import Instance, ServiceRow, Status
from mcpweb.jobs.expiry import expire_instances
from mcpweb.logs.models import AuditEvent
from tests.instances import endpoint


def stored(instance_id: UUID) -> Instance | None:
    """The instance as the database has it."""
    db.session.rollback()
    return db.session.get(Instance, instance_id, populate_existing=True)


def end(instance_id: UUID, *, marked: bool) -> None:
    """Let the instance's end come; `marked` when the expiry job has been by since."""
    with transaction():
        row = db.session.get(Instance, instance_id)
        assert row
        row.expires_at = now() - timedelta(seconds=1)
    house().access.clear()
    if marked:
        expire_instances()


def audited(instance_id: UUID) -> list[AuditEvent]:
    """The instance's audit entries, oldest first."""
    db.session.rollback()
    return list(db.session.query(AuditEvent).filter_by(subject=f"instance/{instance_id}").order_by(AuditEvent.seq))


def actions(instance_id: UUID) -> list[str]:
    """What was done to the instance, oldest first, its creation left out."""
    return [event.action for event in audited(instance_id) if event.action != "instance.create"]


def drift() -> dict[str, tuple[tuple[int, int], tuple[int, int]]]:
    """The services whose counters (total, active) are not the true ones, with both."""
    db.session.rollback()
    found = {}
    for row in db.session.query(ServiceRow).execution_options(populate_existing=True):
        mine = db.session.query(Instance).filter_by(service_name=row.name)
        true = (mine.count(), mine.filter_by(status=Status.ACTIVE).count())
        if (row.total_instances, row.active_instances) != true:
            found[row.name] = ((row.total_instances, row.active_instances), true)
    return found


def refusal(app: Flask, instance_id: UUID, token: str) -> str:
    """Why a call is refused; an empty text when it is not."""
    status, answer = endpoint.call(app, instance_id, token)
    if status == 401:
        return "unauthorized"
    result: dict[str, object] = answer.get("result", {"isError": True, "content": [{"text": str(answer)}]})
    if not result.get("isError"):
        return ""
    content: Sequence[dict[str, str]] = result["content"]  # type: ignore[assignment]
    return content[0]["text"]
