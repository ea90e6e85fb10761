"""What needs an administrator, what was last seen of each rule, and who is to be told."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mcpweb.database import Base, UTCDateTime

_IS_OPEN = text("closed_at IS NULL")


class Alert(Base):
    """Something that is or was wrong with one subject of a rule: a host, a service, a job, or all of it."""

    __tablename__ = "alert"
    __table_args__ = (
        # At most one open alert about the same thing, whoever looks at the same time.
        Index("uq_alert_open", "rule", "subject", unique=True, sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    rule: Mapped[str] = mapped_column(String(20))
    subject: Mapped[str] = mapped_column(String(60))
    """Empty for the whole installation."""
    place: Mapped[str] = mapped_column(String(120))
    """The subject as people call it."""
    value: Mapped[float] = mapped_column()
    """The newest; that of the moment before it closed, once it is closed. In the unit of the rule."""
    threshold: Mapped[float] = mapped_column()
    """The limit that was reached."""
    opened_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    """When it was beyond its limit the last time."""
    closed_at: Mapped[datetime | None] = mapped_column(UTCDateTime, index=True)
    acknowledged_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    acknowledged_by: Mapped[str] = mapped_column(String(254), default="")
    note: Mapped[str] = mapped_column(String(300), default="")
    told_at: Mapped[datetime] = mapped_column(UTCDateTime)
    """When administrators were to be told of it the last time; a reminder is due a day later."""


class AlertWatch(Base):
    """What was last seen of a subject of a rule, and how often in a row it was beyond its limit, or well below."""

    __tablename__ = "alert_watch"

    rule: Mapped[str] = mapped_column(String(20), primary_key=True)
    subject: Mapped[str] = mapped_column(String(60), primary_key=True)
    place: Mapped[str] = mapped_column(String(120), default="")
    value: Mapped[float] = mapped_column(default=0.0)
    note: Mapped[str] = mapped_column(String(120), default="")
    """Why there is no better value."""
    broken: Mapped[int] = mapped_column(default=0)
    good: Mapped[int] = mapped_column(default=0)
    looked_at: Mapped[datetime] = mapped_column(UTCDateTime)
    failed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """Since when its question can not be answered."""


class MessageKind(StrEnum):
    """What is told of an alert."""

    OPENED = "opened"
    REMINDER = "reminder"
    CLOSED = "closed"
    TEST = "test"
    """It is about no alert."""


class AlertMessage(Base):
    """What one receiver is to be told, noted in the transaction that makes it true; sent by a job."""

    __tablename__ = "alert_message"

    id: Mapped[int] = mapped_column(primary_key=True)
    alert_id: Mapped[int | None] = mapped_column(ForeignKey("alert.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(10))
    address: Mapped[str] = mapped_column(String(254))
    """An e-mail address; empty for the webhook."""
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    tries: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UTCDateTime, index=True)
    problem: Mapped[str] = mapped_column(String(200), default="")
    """Why the last try failed."""

    alert: Mapped[Alert | None] = relationship()
