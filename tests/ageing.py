"""Time that passes in the rows instead of on the clock, so that it passes on every database alike."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import inspect, select

from mcpweb.database import Base, UTCDateTime, db, transaction


def age(model: type[Base], span: timedelta) -> None:
    """Let all rows of a table be older: every time in them moves into the past by `span`."""
    names = [column.key for column in inspect(model).columns if isinstance(column.type, UTCDateTime)]
    with transaction():
        for row in db.session.scalars(select(model)):
            for name in names:
                if (at := getattr(row, name)) is not None:
                    setattr(row, name, at - span)
