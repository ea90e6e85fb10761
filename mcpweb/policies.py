"""Decisions that administrators change on a page while everything runs: numbers, each within its bounds.

A row in the database holds what was decided; without one, the operator's setting or the value named here holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from mcpweb.database import Base, UTCDateTime, db
from mcpweb.settings import Settings


@dataclass(frozen=True, slots=True)
class Policy:
    """One decision: what it means, in which unit, between which numbers, and what holds until somebody decides."""

    name: str
    section: str
    """Which form it stands in: `logs`, `instances` or `alerts`."""
    title: str
    unit: str
    low: int
    high: int
    default: int | None = None
    """None: the operator's setting of the same name."""

    def default_of(self, settings: Settings) -> int:
        """What holds when nobody has decided."""
        return int(getattr(settings, self.name)) if self.default is None else self.default

    def words(self, value: int) -> str:
        """`30 days`, `1 day`; MB, ms and shares have no plural."""
        has_plural = self.unit.isalpha() and len(self.unit) > 2
        return f"{value:,} {self.unit.removesuffix('s') if value == 1 and has_plural else self.unit}"


class PolicyRow(Base):
    """What an administrator decided, and when."""

    __tablename__ = "policy"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[str] = mapped_column(String(200))
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime)
    changed_by: Mapped[str] = mapped_column(String(254))


_POLICIES = (
    Policy("log_days", "logs", "Logs of pages, calls, jobs and instances are kept", "days", 1, 3650),
    Policy("log_days_security", "logs", "The security log is kept", "days", 1, 3650),
    Policy("log_days_audit", "logs", "The audit log is kept", "days", 1, 3650),
    Policy("log_disk_mb", "logs", "The logs of a host may take", "MB", 1, 100_000_000),
    Policy("instance_days_max", "instances", "An instance lives at most", "days", 1, 3650),
    # An alert's limit of 0 switches it off.
    Policy("alert_errors", "alerts", "Our own errors reach", "% of the calls", 0, 100, 5),
    Policy("alert_upstream_errors", "alerts", "Errors of one service reach", "% of its calls", 0, 100, 50),
    Policy("alert_p95_ms", "alerts", "5 of 100 calls take longer than", "ms", 0, 10_000, 5000),
    Policy("alert_least_calls", "alerts", "Calls are judged once there are, within 5 minutes", "calls", 1, 100_000, 20),
    Policy("alert_disk_percent", "alerts", "The disk of a host is full to", "%", 0, 100, 90),
    Policy("alert_index_mb", "alerts", "The log index of a host is behind by", "MB", 0, 1_000_000, 50),
    Policy("alert_missing_s", "alerts", "Nothing was heard of a process for", "seconds", 0, 86_400, 90),
    Policy(
        "alert_refused_keys", "alerts", "Keys that their service refuses reach", "% of the active instances", 0, 100, 25
    ),
    Policy("alert_sign_ins", "alerts", "Sign-ins refused within 10 minutes reach", "refusals", 0, 100_000, 50),
    Policy("alert_unsent_mails", "alerts", "Mails that can not be sent reach", "mails", 0, 100_000, 3),
    Policy("alert_lost_lines", "alerts", "Log lines lost within 15 minutes reach", "lines", 0, 1_000_000, 1),
)

POLICIES: Mapping[str, Policy] = {policy.name: policy for policy in _POLICIES}


def value(name: str, settings: Settings) -> int:
    """What holds now: the decision, or else the default; a row that can not be read is as if it were not there.

    The database is asked each time, so that a decision holds at once in every process; no call may ask here.
    """
    policy = POLICIES[name]
    decided = decided_value(policy, db.session.get(PolicyRow, name, populate_existing=True))
    return policy.default_of(settings) if decided is None else decided


def decided_value(policy: Policy, row: PolicyRow | None) -> int | None:
    """The number in a row; None without a row, or with one that can not be read or is out of bounds."""
    if row is None or not (row.value.isascii() and row.value.isdigit() and len(row.value) <= 10):
        return None
    found = int(row.value)
    return found if policy.low <= found <= policy.high else None
