"""Compares the counters of services with what there is, and puts right what drifted."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from mcpweb.database import db, transaction
from mcpweb.instances.models import Instance, ServiceRow, Status
from mcpweb.logs import audit
from mcpweb.queue import job


@job("recount")
def recount() -> dict[str, Any]:
    """Daily: the report holds what was wrong, as (counted before, true) of all and of active instances."""
    drift: dict[str, dict[str, list[int]]] = {}
    with transaction():
        # Whoever changes an instance counts it in the same transaction. With the services' rows in hand, the others
        # have either committed, and are counted below, or wait and then add their part to what is right.
        locked = select(ServiceRow).order_by(ServiceRow.name).with_for_update()
        rows = db.session.scalars(locked.execution_options(populate_existing=True)).all()
        true = _count()
        for row in rows:
            total, active = true.get(row.name, (0, 0))
            if (row.total_instances, row.active_instances) != (total, active):
                drift[row.name] = {"total": [row.total_instances, total], "active": [row.active_instances, active]}
                row.total_instances, row.active_instances = total, active
        if drift:
            db.session.flush()
            audit.record("service.recount", actor="system", subject="service", **drift)
    return {"items": len(rows), "drift": drift}


def _count() -> dict[str, tuple[int, int]]:
    is_active = func.count().filter(Instance.status == Status.ACTIVE)
    counted = db.session.execute(select(Instance.service_name, func.count(), is_active).group_by(Instance.service_name))
    return {name: (total, active) for name, total, active in counted}
