"""Marks instances whose end has come. A call compares the end itself, so a late run lets nobody in."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import select, update

from mcpweb.database import db, now, transaction
from mcpweb.instances.models import Instance, ServiceRow, Status
from mcpweb.logs import audit
from mcpweb.queue import job

_BATCH = 500


@job("expire_instances")
def expire_instances() -> None:
    """Every 30 seconds: mark due instances, batch by batch; may run late or twice."""
    for status in (Status.ACTIVE, Status.INACTIVE):
        while _expire_batch(status) == _BATCH:
            pass


def _expire_batch(status: Status) -> int:
    """Claim up to 500 due instances by one statement, so that each belongs to exactly one of several runs."""
    with transaction():
        moment = now()
        due = select(Instance.id).where(Instance.status == status, Instance.expires_at <= moment).limit(_BATCH)
        claimed = db.session.execute(
            update(Instance)
            # The end once more: PostgreSQL looks at a row again that was renewed meanwhile, but not into the list.
            .where(Instance.id.in_(due), Instance.status == status, Instance.expires_at <= moment)
            .values(status=Status.EXPIRED)
            .returning(Instance.id, Instance.service_name, Instance.expires_at)
            .execution_options(synchronize_session=False)
        ).all()
        if status == Status.ACTIVE:
            # In one order, so that two runs never wait for each other's services.
            for name, count in sorted(Counter(row.service_name for row in claimed).items()):
                db.session.execute(
                    update(ServiceRow)
                    .where(ServiceRow.name == name)
                    .values(active_instances=ServiceRow.active_instances - count)
                )
        for row in claimed:
            audit.record(
                "instance.expire", actor="system", subject=f"instance/{row.id}", expires_at=row.expires_at.isoformat()
            )
    return len(claimed)
