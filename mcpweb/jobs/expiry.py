"""Marks instances whose end has come. A call compares the end itself, so a late run lets nobody in."""

from __future__ import annotations

from sqlalchemy import select, update

from mcpweb.database import db, now, transaction
from mcpweb.instances.models import Instance, ServiceRow, Status
from mcpweb.logs import audit
from mcpweb.queue import job

_BATCH = 500


@job("expire_instances")
def expire_instances() -> None:
    """Every 30 seconds: mark due instances, batch by batch; may run late or twice."""
    while _expire_batch() == _BATCH:
        pass


def _expire_batch() -> int:
    """Claim up to 500 due instances by one statement, so that of several runs each instance has exactly one."""
    with transaction():
        due = select(Instance.id).where(Instance.status != Status.EXPIRED, Instance.expires_at <= now()).limit(_BATCH)
        was_active = select(Instance.id).where(Instance.id.in_(due), Instance.status == Status.ACTIVE)
        active = set(db.session.scalars(was_active))
        claimed = db.session.execute(
            update(Instance)
            .where(Instance.id.in_(due), Instance.status != Status.EXPIRED)
            .values(status=Status.EXPIRED)
            .returning(Instance.id, Instance.service_name, Instance.expires_at)
            .execution_options(synchronize_session=False)
        ).all()
        for row in claimed:
            if row.id in active:
                db.session.execute(
                    update(ServiceRow)
                    .where(ServiceRow.name == row.service_name)
                    .values(active_instances=ServiceRow.active_instances - 1)
                )
            audit.record(
                "instance.expire", actor="system", subject=f"instance/{row.id}", expires_at=row.expires_at.isoformat()
            )
    return len(claimed)
