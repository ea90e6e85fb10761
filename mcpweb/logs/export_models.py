"""What the database holds of exports of the log that take a while."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import JSON, BigInteger, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from mcpweb.database import Base, UTCDateTime

KEPT = timedelta(days=3)
"""How long a finished file can be had."""


class LogExport(Base):
    """A file with log lines that an administrator asked for, written by a job on the host where it was asked for."""

    __tablename__ = "log_export"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    host: Mapped[str] = mapped_column(String(12))
    kind: Mapped[str] = mapped_column(String(5))
    asked: Mapped[dict[str, Any]] = mapped_column(JSON)
    """The query: text, since, until, equal and unequal."""
    state: Mapped[str] = mapped_column(String(10), default="waiting")
    """waiting, running, done or failed."""
    note: Mapped[str] = mapped_column(String(300), default="")
    """A sentence on what is missing or went wrong."""
    lines: Mapped[int] = mapped_column(BigInteger, default=0)
    size: Mapped[int] = mapped_column(BigInteger, default=0)
    """Of the compressed file, in bytes."""
    asked_at: Mapped[datetime] = mapped_column(UTCDateTime)
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    """The last sign of life of whoever writes it."""
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    mailed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    @property
    def is_open(self) -> bool:
        """Whether it is still to be written, or is being written."""
        return self.state in ("waiting", "running")

    @property
    def file_name(self) -> str:
        """Of the file on the host's disk."""
        return f"{self.id}.{self.kind}.gz"

    def ends_at(self) -> datetime | None:
        """Until when the file can be had; None while there is none."""
        return self.finished_at + KEPT if self.state == "done" and self.finished_at else None
