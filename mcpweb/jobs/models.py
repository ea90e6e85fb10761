"""When jobs run, and what became of their runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from mcpweb.database import Base, UTCDateTime


class Schedule(Base):
    """When a job runs: every so many seconds, or daily at a time of day in a time zone."""

    __tablename__ = "schedule"

    job: Mapped[str] = mapped_column(String(40), primary_key=True)
    every_s: Mapped[int | None] = mapped_column()
    at_time: Mapped[str | None] = mapped_column(String(5))
    """`03:10`; set for a daily job, which then has no `every_s`."""
    timezone: Mapped[str] = mapped_column(String(60), default="UTC")
    is_enabled: Mapped[bool] = mapped_column(default=True)
    last_slot: Mapped[int | None] = mapped_column(BigInteger)
    """The newest daily slot that was put on the queue: a missed one is caught up once, whatever Redis forgot."""
    changed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    changed_by: Mapped[str] = mapped_column(String(254), default="")


class JobRun(Base):
    """One run of a job."""

    __tablename__ = "job_run"
    __table_args__ = (Index("ix_job_run_job", "job", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    job: Mapped[str] = mapped_column(String(40))
    host: Mapped[str] = mapped_column(String(12), default="")
    trigger: Mapped[str] = mapped_column(String(10), default="schedule")
    """schedule, event (something that happened), or hand."""
    by_whom: Mapped[str] = mapped_column(String(254), default="")
    state: Mapped[str] = mapped_column(String(10), default="running")
    """waiting (asked for by hand), running, done, failed, or lost: its worker ended without a word."""
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    items: Mapped[int | None] = mapped_column()
    """How many things it did."""
    report: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
