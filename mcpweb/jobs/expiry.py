"""Marks instances whose end has come. A call compares the end itself, so a late run lets nobody in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Row, select, update

from mcpweb import clock
from mcpweb.database import after_commit, db, now, transaction
from mcpweb.instances import notices
from mcpweb.instances.house import house
from mcpweb.instances.models import Instance, NoticeKind, ServiceRow, Status
from mcpweb.logs import audit, events
from mcpweb.queue import enqueue, job

Claimed = Sequence[Row[UUID, int, str, datetime]]
"""Instances with their owner, service and end."""

_BATCH = 50
"""So many take a transaction well below 100 ms, for which everybody else who writes has to wait."""


@job("expire_instances")
def expire_instances() -> dict[str, int]:
    """Every 30 seconds: mark due instances, batch by batch, and tell their owners; may run late or twice.

    Reports how many, and for how many milliseconds the longest transaction was open.
    """
    expired = 0
    took_s = [0.0]
    for status in (Status.ACTIVE, Status.INACTIVE):
        while found := _expire_batch(status, took_s):
            expired += found
    if expired:
        enqueue("send_notices")
    return {"items": expired, "longest_ms": round(max(took_s) * 1000)}


def _expire_batch(status: Status, took_s: list[float]) -> int:
    """Claim due instances by one statement, so that each belongs to exactly one of several runs."""
    with transaction():
        moment, began = now(), clock.monotonic()
        after_commit(lambda: took_s.append(clock.monotonic() - began))
        claimed = _claim(status, moment)
        # Before the services, since everybody who connects one waits for their rows.
        notices.add(NoticeKind.EXPIRED, [(row.id, row.owner_id) for row in claimed])
        if status == Status.ACTIVE:
            # In one order, so that two runs never wait for each other's services.
            for name, count in sorted(Counter(row.service_name for row in claimed).items()):
                db.session.execute(
                    update(ServiceRow)
                    .where(ServiceRow.name == name)
                    .values(active_instances=ServiceRow.active_instances - count)
                )
        changes = [(f"instance/{row.id}", {"expires_at": row.expires_at.isoformat()}) for row in claimed]
        audit.record_many("instance.expire", actor="system", changes=changes)
        if claimed:
            after_commit(lambda: house().propagation.mention([row.id for row in claimed]))
            after_commit(lambda: _log(claimed))
    return len(claimed)


def _claim(status: Status, moment: datetime) -> Claimed:
    """Find, lock and mark a batch; a row that was renewed meanwhile is looked at again when it is locked."""
    due = (
        select(Instance.id)
        .where(Instance.status == status, Instance.expires_at <= moment)
        .limit(_BATCH)
        .with_for_update(skip_locked=True)  # who is changing one, or expiring it too, is not waited for
        .cte("due")
    )
    return db.session.execute(
        update(Instance)
        # Joined: with `id IN (…)` PostgreSQL compares every due instance with every one of the batch.
        .where(Instance.id == due.c.id)
        .values(status=Status.EXPIRED)
        .returning(Instance.id, Instance.owner_id, Instance.service_name, Instance.expires_at)
        .execution_options(synchronize_session=False)
    ).all()


def _log(claimed: Claimed) -> None:
    for row in claimed:
        events.instance(row.owner_id, row.id, "instance.expire", expires_at=row.expires_at.isoformat())
