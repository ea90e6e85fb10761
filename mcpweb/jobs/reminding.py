"""Finds the instances that end in a week or a day, so that their owners are reminded in time."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, or_, select, update

from mcpweb.database import db, now, transaction
from mcpweb.instances import notices
from mcpweb.instances.lifecycle import REMINDERS
from mcpweb.instances.models import Instance, NoticeKind, Status
from mcpweb.queue import enqueue, job

_BATCH = 200
_KINDS = {1: NoticeKind.ENDS_1, 7: NoticeKind.ENDS_7}
_EARLY = {1: timedelta(hours=6), 7: timedelta(days=1)}
"""Who is reminded anyway is told at once of what would be due so soon after: one mail instead of several."""


@job("remind_owners")
def remind_owners() -> int:
    """Every hour: note a reminder for each instance that is due for one; may run late or twice."""
    reminded = 0
    for days in REMINDERS:  # the shorter one first: it makes the longer one unnecessary
        while found := _remind_batch(days):
            reminded += found
    if reminded:
        enqueue("send_notices")
    return reminded


def _remind_batch(days: int) -> int:
    """Claim instances by one statement, so that each is reminded of by one of several runs."""
    with transaction():
        moment = now()
        within, early = timedelta(days=days), _EARLY[days]
        owners = select(Instance.owner_id).where(_due(days, moment, within)).distinct()
        due = (
            select(Instance.id)
            .where(_due(days, moment, within + early), Instance.owner_id.in_(owners))
            .limit(_BATCH)
            .with_for_update(skip_locked=True)
            .cte("due")
        )
        claimed = db.session.execute(
            update(Instance)
            .where(Instance.id == due.c.id)
            .values(reminded_days=days)
            .returning(Instance.id, Instance.owner_id)
            .execution_options(synchronize_session=False)
        ).all()
        notices.add(_KINDS[days], [(row.id, row.owner_id) for row in claimed])
    return len(claimed)


def _due(days: int, moment: datetime, within: timedelta) -> ColumnElement[bool]:
    return and_(
        Instance.status.in_((Status.ACTIVE, Status.INACTIVE)),
        Instance.expires_at > moment,
        Instance.expires_at <= moment + within,
        or_(Instance.reminded_days.is_(None), Instance.reminded_days > days),
    )
