"""The schedule's rows. Plain SQL without the models, so that a ticker stays small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Boolean, Connection, column, insert, or_, select, table, update
from sqlalchemy.exc import IntegrityError

from mcpweb.jobs.schedule import PLANS, When

_SCHEDULE = table(
    "schedule",
    column("job"),
    column("every_s"),
    column("at_time"),
    column("timezone"),
    column("is_enabled", Boolean),
    column("last_slot"),
    column("changed_by"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A job that is switched on, when it runs, and the newest daily slot that was put on the queue."""

    job: str
    when: When
    last_slot: int | None


def read(connection: Connection) -> Sequence[Entry]:
    """The jobs that are switched on, as far as this version of the program knows them."""
    columns = _SCHEDULE.c
    rows = connection.execute(
        select(columns.job, columns.every_s, columns.at_time, columns.timezone, columns.last_slot)
        .where(columns.is_enabled)
        .order_by(columns.job)
    )
    return [
        Entry(row.job, When(row.every_s, row.at_time, row.timezone), row.last_slot) for row in rows if row.job in PLANS
    ]


def remember(connection: Connection, job: str, slot: int) -> None:
    """Note that a daily slot was put on the queue; the number only grows, whoever comes late."""
    columns = _SCHEDULE.c
    connection.execute(
        update(_SCHEDULE)
        .where(columns.job == job, or_(columns.last_slot.is_(None), columns.last_slot < slot))
        .values(last_slot=slot)
    )


def insert_missing(connection: Connection, moment: datetime) -> Sequence[str]:
    """Add the rows of jobs that have none, and return their names; what an administrator changed stays.

    The present day counts as done, so that a fresh installation does not begin with all its daily work.
    """
    known = set(connection.execute(select(_SCHEDULE.c.job)).scalars())
    added = []
    for plan in PLANS.values():
        if plan.job not in known and _insert(connection, plan.job, plan.when, moment):
            added.append(plan.job)
    return added


def _insert(connection: Connection, job: str, when: When, moment: datetime) -> bool:
    try:
        with connection.begin_nested():
            connection.execute(
                insert(_SCHEDULE).values(
                    job=job,
                    every_s=when.every_s,
                    at_time=when.at_time,
                    timezone=when.timezone,
                    is_enabled=True,
                    last_slot=when.slot(moment) if when.at_time else None,
                    changed_by="",
                )
            )
    except IntegrityError:  # another host is being prepared at the same moment
        return False
    return True
