"""How many lines there were, by the hour: kept while they are indexed, so that no chart has to count them again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from mcpweb.database import db
from mcpweb.logs.index_line import IndexLine, day_ms, moment
from mcpweb.logs.models import LogRollup

_HOUR_MS = 3_600_000

Totals = Mapping[tuple[int, str, str], int]
"""Lines by hour of the epoch, category and level."""


def totals(category: str, lines: Iterable[IndexLine]) -> Counter[tuple[int, str, str]]:
    """Count the lines of one category."""
    return Counter((line.ts // _HOUR_MS, category, line.columns[1]) for line in lines)


def add(host: str, found: Totals) -> None:
    """Add to the host's counts, in the open transaction."""
    if not found:
        return
    insert = (postgresql if db.engine.dialect.name == "postgresql" else sqlite).insert(LogRollup)
    rows = [
        {"hour": moment(hour * _HOUR_MS), "host": host, "category": category, "level": level, "lines": lines}
        for (hour, category, level), lines in found.items()
    ]
    db.session.execute(
        insert.on_conflict_do_update(
            index_elements=["hour", "host", "category", "level"],
            set_={"lines": LogRollup.lines + insert.excluded.lines},
        ),
        rows,
    )


def forget(host: str, day: date) -> None:
    """Take out the host's counts of a day, in the open transaction."""
    start = moment(day_ms(day))
    db.session.execute(
        delete(LogRollup).where(
            LogRollup.host == host, LogRollup.hour >= start, LogRollup.hour < start + timedelta(days=1)
        )
    )


def by_hour(since: datetime, until: datetime) -> list[tuple[datetime, str, str, int]]:
    """Hour, category, level, and how many lines all hosts wrote, in order; `until` is not included."""
    rows = db.session.execute(
        select(LogRollup.hour, LogRollup.category, LogRollup.level, func.sum(LogRollup.lines))
        .where(LogRollup.hour >= since, LogRollup.hour < until)
        .group_by(LogRollup.hour, LogRollup.category, LogRollup.level)
        .order_by(LogRollup.hour, LogRollup.category, LogRollup.level)
    )
    return [(hour, category, level, int(lines)) for hour, category, level, lines in rows]
