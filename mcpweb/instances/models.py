"""Services as registered, instances, and the tokens of instances."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mcpweb.accounts.models import User
from mcpweb.database import Base, UTCDateTime


class Status(StrEnum):
    """The state of an instance."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    EXPIRED = "expired"


class CredentialState(StrEnum):
    """What the last live check of a credential said."""

    OK = "ok"
    REJECTED = "rejected"
    UNVERIFIED = "unverified"


class ServiceRow(Base):
    """A service as `mcpweb migrate` registered it, with its counters."""

    __tablename__ = "service"

    name: Mapped[str] = mapped_column(String(31), primary_key=True)
    title: Mapped[str] = mapped_column(String(60))
    port: Mapped[int] = mapped_column()
    manifest_digest: Mapped[str] = mapped_column(String(64))
    is_enabled: Mapped[bool] = mapped_column(default=True)
    is_stopped: Mapped[bool] = mapped_column(default=False)
    """Whether an administrator switched it off, so that registering it again leaves it off."""
    definitions: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict, deferred=True)
    """Every tool by its name as clients are told of it; not loaded unless it is asked for."""
    definitions_before: Mapped[dict[str, Any] | None] = mapped_column(JSON, deferred=True)
    """What they were before they last changed."""
    total_instances: Mapped[int] = mapped_column(default=0)
    active_instances: Mapped[int] = mapped_column(default=0)
    registered_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Instance(Base):
    """One user's connection to one service, reachable at its own MCP endpoint."""

    __tablename__ = "instance"
    __table_args__ = (
        UniqueConstraint("owner_id", "creation_key", name="uq_instance_creation"),
        # The sweep looks for those of one status that are due; the ended ones, which pile up, are not walked through.
        Index("ix_instance_status_expires_at", "status", "expires_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    owner_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    service_name: Mapped[str] = mapped_column(ForeignKey("service.name"), index=True)
    label: Mapped[str] = mapped_column(String(80))
    status: Mapped[str] = mapped_column(String(10), default=Status.ACTIVE)
    stopped_reason: Mapped[str] = mapped_column(String(300), default="")
    """Why an administrator switched it off, for its owner, who can not switch it on as long as this is here."""
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    creation_key: Mapped[UUID] = mapped_column()
    credential_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    credential_key_id: Mapped[str] = mapped_column(String(20), index=True)
    credential_state: Mapped[str] = mapped_column(String(10))
    credential_checked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    credential_expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    credential_due_at: Mapped[datetime | None] = mapped_column(UTCDateTime, index=True)
    """When the next check by itself is due; None: as soon as possible."""
    credential_failures: Mapped[int] = mapped_column(default=0)
    """How many checks in a row were refused."""
    credential_refusals: Mapped[int] = mapped_column(default=0)
    """How many calls in a row the service refused for the key's sake."""
    account_label: Mapped[str] = mapped_column(String(200), default="")
    scopes: Mapped[list[str] | None] = mapped_column(JSON)
    enabled_tools: Mapped[list[str] | None] = mapped_column(JSON)
    keeps_arguments: Mapped[bool] = mapped_column(default=True)
    """Whether the log of a call holds its arguments."""
    reminded_days: Mapped[int | None] = mapped_column()
    """The shortest span before the present end, in days, of which the owner was reminded, or need not be."""
    usage_count: Mapped[int] = mapped_column(default=0)
    last_used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    owner: Mapped[User] = relationship()
    tokens: Mapped[list[InstanceToken]] = relationship(
        order_by="InstanceToken.id", cascade="all, delete-orphan", passive_deletes=True
    )

    def status_at(self, now: datetime) -> Status:
        """What a call made at `now` meets: right even when the expiry job is late."""
        return Status.EXPIRED if self.expires_at <= now else Status(self.status)

    @property
    def credential_context(self) -> str:
        """What the sealed credential is bound to, so that it opens in this row only."""
        return self.context_of(self.id)

    @staticmethod
    def context_of(instance_id: UUID) -> str:
        """As `credential_context`, of the instance of this id."""
        return f"instance/{instance_id}/credential"


class InstanceToken(Base):
    """What an MCP client shows at the endpoint of one instance; only its hash is kept."""

    __tablename__ = "instance_token"

    id: Mapped[int] = mapped_column(primary_key=True)
    instance_id: Mapped[UUID] = mapped_column(ForeignKey("instance.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(80))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    last_four: Mapped[str] = mapped_column(String(4))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_client: Mapped[str] = mapped_column(String(200), default="")
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class Stop(Base):
    """What an administrator refuses for a while: the calls of one user, of one service, or, with neither, all calls."""

    __tablename__ = "stop"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    service_name: Mapped[str | None] = mapped_column(ForeignKey("service.name"))
    reason: Mapped[str] = mapped_column(String(300))
    """For those who are stopped, and for who looks back."""
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)
    started_by: Mapped[str] = mapped_column(String(254))
    ends_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    """When it lifts by itself; every stop has an end."""
    lifted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    lifted_by: Mapped[str] = mapped_column(String(254), default="")

    user: Mapped[User | None] = relationship()
    service: Mapped[ServiceRow | None] = relationship()


class KeyCheck(Base):
    """A known text sealed with an encryption key: tells whether a key is the one that was used before."""

    __tablename__ = "key_check"

    key_id: Mapped[str] = mapped_column(String(20), primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class NoticeKind(StrEnum):
    """What an owner is told."""

    EXPIRED = "expired"
    ENDS_7 = "ends_7"
    ENDS_1 = "ends_1"
    KEY_DIED = "key_died"
    KEY_ENDS = "key_ends"
    STOPPED = "stopped"
    """An administrator switched the instance off."""
    ALL_STOPPED = "all_stopped"
    """An administrator stopped everything of the owner."""


class Notice(Base):
    """Something that an owner is told by mail, noted in the transaction that makes it true; sent by a job."""

    __tablename__ = "notice"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    instance_id: Mapped[UUID] = mapped_column(ForeignKey("instance.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    tries: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UTCDateTime, index=True)


BUCKETS_MS = (10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)
"""Upper bounds of a roll-up's duration buckets; the last bucket has none."""


class _Durations:
    """How many calls took at most so many milliseconds, and more than the bound before; the last has no bound."""

    ms_10: Mapped[int] = mapped_column(default=0)
    ms_25: Mapped[int] = mapped_column(default=0)
    ms_50: Mapped[int] = mapped_column(default=0)
    ms_100: Mapped[int] = mapped_column(default=0)
    ms_250: Mapped[int] = mapped_column(default=0)
    ms_500: Mapped[int] = mapped_column(default=0)
    ms_1000: Mapped[int] = mapped_column(default=0)
    ms_2500: Mapped[int] = mapped_column(default=0)
    ms_5000: Mapped[int] = mapped_column(default=0)
    ms_10000: Mapped[int] = mapped_column(default=0)
    ms_more: Mapped[int] = mapped_column(default=0)


class UsageRollup(_Durations, Base):
    """The calls of one tool of an instance in one hour, as the host that answered them counted."""

    __tablename__ = "usage_rollup"
    __table_args__ = (Index("ix_usage_rollup_hour", "hour"),)

    instance_id: Mapped[UUID] = mapped_column(primary_key=True)
    hour: Mapped[datetime] = mapped_column(UTCDateTime, primary_key=True)
    tool: Mapped[str] = mapped_column(String(100), primary_key=True)
    host: Mapped[str] = mapped_column(String(12), primary_key=True)
    calls: Mapped[int] = mapped_column(default=0)
    errors: Mapped[int] = mapped_column(default=0)
    upstream_ms: Mapped[int] = mapped_column(BigInteger, default=0)
    """The sum of what the service took, in milliseconds."""


class TrafficMinute(_Durations, Base):
    """The calls of one service in one minute, as the host that answered them counted."""

    __tablename__ = "traffic_minute"
    __table_args__ = (Index("ix_traffic_minute_minute", "minute"),)

    host: Mapped[str] = mapped_column(String(12), primary_key=True)
    minute: Mapped[datetime] = mapped_column(UTCDateTime, primary_key=True)
    service: Mapped[str] = mapped_column(String(31), primary_key=True)
    calls: Mapped[int] = mapped_column(default=0)
    errors: Mapped[int] = mapped_column(default=0)
    """All calls that did not end well."""
    upstream_errors: Mapped[int] = mapped_column(default=0)
    """Those among them that are the fault of the service or of its key, not ours."""
    faults: Mapped[int] = mapped_column(default=0, server_default="0")
    """Those among them that are ours: something broke here, or there was no place for the call."""
