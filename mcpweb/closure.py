"""Maintenance mode: until an end that always comes, pages and endpoints say that they are closed, and why."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from mcpweb.database import Base, UTCDateTime, db

LONGEST = timedelta(days=7)
USUAL = timedelta(hours=1)
MESSAGE_LENGTH = 300
_ONLY = 1


class Closure(Base):
    """The present or last closure: there is one row at most."""

    __tablename__ = "closure"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, default=_ONLY)
    message: Mapped[str] = mapped_column(String(MESSAGE_LENGTH))
    """What everybody is told."""
    begins_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ends_at: Mapped[datetime] = mapped_column(UTCDateTime)
    is_on: Mapped[bool] = mapped_column(default=True)
    """Not once it was switched off: by the clock of a host that is late, its end would still have to come."""
    by_whom: Mapped[str] = mapped_column(String(254))


def last() -> Closure | None:
    """The row, whether it still holds or not."""
    return db.session.get(Closure, _ONLY, populate_existing=True)


def present(now: datetime) -> Closure | None:
    """The closure that holds at this moment. One small row is read."""
    row = last()
    return row if row is not None and row.is_on and row.ends_at > now else None
