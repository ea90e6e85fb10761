"""What the database holds of the logs: the audit trail, how far each file is indexed, and counts by the hour."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mcpweb.database import Base, UTCDateTime


class AuditEvent(Base):
    """One change and who made it. Each row's digest covers the digest before it, so a changed row breaks the chain."""

    __tablename__ = "audit_event"

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    action: Mapped[str] = mapped_column(String(60))
    actor: Mapped[str] = mapped_column(String(254))
    subject: Mapped[str] = mapped_column(String(120), index=True)
    ip: Mapped[str] = mapped_column(String(45), default="")
    details: Mapped[dict[str, Any]] = mapped_column(JSON)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))


class LogFile(Base):
    """A system log file of one host, and how far its lines are in the index and counted."""

    __tablename__ = "log_file"
    __table_args__ = (UniqueConstraint("host", "name", name="uq_log_file_host"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    host: Mapped[str] = mapped_column(String(12))
    name: Mapped[str] = mapped_column(String(60))
    """`performance-2026-11-25.jsonl`, also once it is compressed."""
    offset: Mapped[int] = mapped_column(BigInteger, default=0)
    """In bytes of the uncompressed file."""
    indexed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class LogRollup(Base):
    """How many lines a host wrote in one hour, by category and level."""

    __tablename__ = "log_rollup"

    hour: Mapped[datetime] = mapped_column(UTCDateTime, primary_key=True)
    host: Mapped[str] = mapped_column(String(12), primary_key=True)
    category: Mapped[str] = mapped_column(String(20), primary_key=True)
    level: Mapped[str] = mapped_column(String(10), primary_key=True)
    lines: Mapped[int] = mapped_column(default=0)
