"""Which processes of which hosts are there, and what their hosts' means are used for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from mcpweb.database import Base, UTCDateTime


class HostRole(Base):
    """A process of a host that says from time to time that it is there."""

    __tablename__ = "host_role"

    host: Mapped[str] = mapped_column(String(12), primary_key=True)
    role: Mapped[str] = mapped_column(String(10), primary_key=True)
    """web, worker or ticker."""
    process: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(64))
    """The host as people call it; several may have the same name."""
    version: Mapped[str] = mapped_column(String(20))
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    """By the database's clock."""
    clock_offset_ms: Mapped[int | None] = mapped_column()
    """How far the host's clock is ahead of the database's; None where they are one."""
    figures: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    """What the process counts for itself, such as the hits of its cache."""


class ResourceSample(Base):
    """What a host used at one moment; sizes in bytes."""

    __tablename__ = "resource_sample"
    __table_args__ = (Index("ix_resource_sample_at", "at"),)

    host: Mapped[str] = mapped_column(String(12), primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime, primary_key=True)
    cpu_percent: Mapped[float] = mapped_column()
    """Of all cores together: 100 is the whole host."""
    memory_used: Mapped[int] = mapped_column(BigInteger)
    memory_total: Mapped[int] = mapped_column(BigInteger)
    disk_used: Mapped[int] = mapped_column(BigInteger)
    disk_total: Mapped[int] = mapped_column(BigInteger)
    """Of the disk that holds the home folder."""
    open_files: Mapped[int] = mapped_column()
    connections: Mapped[int] = mapped_column()
    """Of our own processes on the host, both."""
    index_behind: Mapped[int] = mapped_column(BigInteger)
    """Bytes of log lines that were not in the index yet."""


class InstallationSample(Base):
    """The whole installation in one minute, as one of the tickers found it."""

    __tablename__ = "installation_sample"

    minute: Mapped[datetime] = mapped_column(UTCDateTime, primary_key=True)
    users: Mapped[int] = mapped_column()
    admins: Mapped[int] = mapped_column()
    instances: Mapped[int] = mapped_column()
    active_instances: Mapped[int] = mapped_column()
    waiting: Mapped[int | None] = mapped_column()
    """Jobs in all queues; None when Redis did not answer."""
    cache_hits: Mapped[int] = mapped_column()
    cache_misses: Mapped[int] = mapped_column()
    """Of the accesses that calls asked for since the sample before, in all web processes."""
    details: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    """`keys`: sealed credentials by key. `caches`: hits and misses of each process up to now."""


class PartState(Base):
    """The state of a part of the installation, and since when it is in it."""

    __tablename__ = "part_state"

    part: Mapped[str] = mapped_column(String(60), primary_key=True)
    state: Mapped[str] = mapped_column(String(10))
    """good, warn or bad."""
    since: Mapped[datetime] = mapped_column(UTCDateTime)
