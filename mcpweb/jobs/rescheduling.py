"""Changing when a job runs: the tickers read it at their next tick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from sqlalchemy import select

from mcpweb import clock
from mcpweb.database import db, now, take_turns, transaction
from mcpweb.errors import InvalidInput
from mcpweb.jobs.models import Schedule
from mcpweb.jobs.schedule import PLANS, Plan, When
from mcpweb.logs import audit

SHORTEST_S = 10
LONGEST_S = 7 * 24 * 3600


def rows() -> Mapping[str, Schedule]:
    """The schedule by job, in the order of the plans; of a job without a row, which `migrate` adds, the default."""
    found = {row.job: row for row in db.session.scalars(select(Schedule))}
    return {job: found.get(job) or _default(plan) for job, plan in PLANS.items()}


def when_of(row: Schedule) -> When:
    """When it runs, as a ticker reads it."""
    return When(row.every_s, row.at_time, row.timezone)


@cache
def zones() -> Sequence[str]:
    """The time zones that this host knows; at least UTC."""
    return sorted({"UTC", *available_timezones()})


def change(job: str, when: When, is_enabled: bool, by_whom: str) -> bool:
    """Have a job of the schedule run at other times, or not at all; returns whether that is anything new.

    Raises:
        InvalidInput: there is no such job, or it can not run so.
    """
    if job not in PLANS:
        raise InvalidInput("There is no such job.")
    check(when)
    with transaction():
        take_turns(f"schedule of {job}")
        row = db.session.get(Schedule, job, populate_existing=True)
        if row is None:
            db.session.add(row := _default(PLANS[job]))
        before = _said(row)
        last_slot = settled(row, when, clock.utcnow())
        row.every_s, row.at_time, row.timezone = when.every_s, when.at_time, when.timezone
        row.is_enabled = is_enabled
        if before == (after := _said(row)):
            return False
        row.last_slot, row.changed_at, row.changed_by = last_slot, now(), by_whom
        audit.record("schedule.change", actor=by_whom, subject=f"schedule/{job}", before=before, after=after)
    return True


def reset(job: str, by_whom: str) -> bool:
    """Have a job run as it is shipped; returns whether that is anything new.

    Raises:
        InvalidInput: there is no such job.
    """
    if job not in PLANS:
        raise InvalidInput("There is no such job.")
    return change(job, PLANS[job].when, True, by_whom)


def check(when: When) -> None:
    """Refuse what no ticker can follow.

    Raises:
        InvalidInput: the span is out of bounds, or the time of day or the zone can not be read.
    """
    if when.every_s is not None and not SHORTEST_S <= when.every_s <= LONGEST_S:
        raise InvalidInput("A job runs every 10 seconds at most, and every 7 days at least.")
    if when.timezone not in zones():
        raise InvalidInput("There is no such time zone.")
    try:
        when.slot(clock.utcnow())
    except (ValueError, KeyError):
        raise InvalidInput("A time of day is written as 03:10.") from None


def settled(row: Schedule, when: When, moment: datetime) -> int | None:
    """The newest daily slot that counts as done once the job runs at `when`: a change is no reason to run at once.

    A day on which it has run already counts, so a later time of day holds from the next day on.
    """
    if not when.at_time:
        return row.last_slot
    done = [when.slot(moment)]
    if row.at_time:
        done += [row.last_slot or 0, _slot(when_of(row), moment)]
    return max(done)


def next_runs(when: When, last_slot: int | None, moment: datetime, most: int) -> list[datetime]:
    """When it runs next, so many times; empty when that can not be read."""
    found: list[datetime] = []
    try:
        while len(found) < most:
            moment = when.next_at(moment)
            if when.every_s or when.slot(moment) > (last_slot or 0):
                found.append(moment)
    except (ValueError, KeyError, OverflowError):
        return []
    return found


def _slot(when: When, moment: datetime) -> int:
    try:
        return when.slot(moment)
    except (ValueError, KeyError):  # it never could be read, so nothing was done
        return 0


def _default(plan: Plan) -> Schedule:
    return Schedule(
        job=plan.job,
        every_s=plan.when.every_s,
        at_time=plan.when.at_time,
        timezone=plan.when.timezone,
        is_enabled=True,
        last_slot=plan.when.slot(clock.utcnow()) if plan.when.at_time else None,
        changed_by="",
    )


def _said(row: Schedule) -> dict[str, Any]:
    return {
        "every_s": row.every_s,
        "at_time": row.at_time,
        "timezone": row.timezone,
        "is_enabled": row.is_enabled,
    }
