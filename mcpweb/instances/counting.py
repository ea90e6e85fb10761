"""How much instances are used, counted from the lines that calls leave in the log.

Counting happens in the transaction that marks the lines as counted, so each line counts once.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Table, and_, bindparam, case, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from mcpweb import clock
from mcpweb.database import db
from mcpweb.instances import traffic
from mcpweb.instances.models import BUCKETS_MS, Instance, InstanceToken, UsageRollup
from mcpweb.logs.query import storable

REFUSALS_TO_CHECK = 3
"""So many calls in a row that a service refused for the key's sake bring the next check of the key forward."""

_MAX_MS = 3_600_000
_BUCKETS = (*(f"ms_{bound}" for bound in BUCKETS_MS), "ms_more")
_SUMS = ("calls", "errors", "upstream_ms", *_BUCKETS)


@dataclass(slots=True)
class _Use:
    """What a batch of lines says about one instance."""

    calls: int = 0
    last_used_at: datetime | None = None
    refusals: int = 0
    """In a row, at the end."""
    was_let_in: bool = False
    """Whether the service took the key in one of the calls."""
    tokens: dict[int, tuple[datetime, str]] = field(default_factory=dict)


def count(host: str, lines: Iterable[Mapping[str, Any]]) -> None:
    """Count the calls among the lines, in the open transaction; those of deleted instances are left out.

    `host` is the one whose log they are from.
    """
    calls = [(found, line) for line in lines if (found := _called(line))]
    alive = _alive({instance_id for (instance_id, _), _ in calls})
    uses: dict[UUID, _Use] = defaultdict(_Use)
    rollups: dict[tuple[UUID, datetime, str], dict[str, int]] = defaultdict(lambda: dict.fromkeys(_SUMS, 0))
    called: list[traffic.Called] = []
    for (instance_id, at), line in calls:
        if instance_id in alive:
            is_tool_call = line.get("method") == "tools/call"
            _note(uses[instance_id], at, line, is_tool_call)
            if is_tool_call:
                hour = at.replace(minute=0, second=0, microsecond=0)
                _sum(rollups[instance_id, hour, _text(line.get("tool"), 100)], line)
                called.append((at, _text(line.get("service"), 31), _ms(line.get("duration_ms")), line))
    if uses:
        _update_instances(uses)
        _update_tokens(uses)
    if rollups:
        _add_rollups(host, rollups)
    traffic.count(host, called)


def _called(line: Mapping[str, Any]) -> tuple[UUID, datetime] | None:
    """The instance and the time, if the line is of a call that a token let in."""
    if line.get("message") != "call" or line.get("user_id") is None:
        return None
    try:
        at = datetime.fromisoformat(line["time"])
        return UUID(line["instance_id"]), at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError):
        return None


def _alive(instance_ids: set[UUID]) -> set[UUID]:
    """Those that are there, and stay as they are until the transaction ends; locked in one order, as hosts overlap."""
    found = select(Instance.id).where(Instance.id.in_(instance_ids)).order_by(Instance.id)
    return set(db.session.scalars(found.with_for_update(key_share=True))) if instance_ids else set()


def _note(use: _Use, at: datetime, line: Mapping[str, Any], is_tool_call: bool) -> None:
    use.last_used_at = max(at, use.last_used_at or at)
    token_id = line.get("token_id")
    if type(token_id) is int and 0 < token_id < 2**31:
        known = use.tokens.get(token_id)
        if known is None or known[0] <= at:
            use.tokens[token_id] = (at, _text(line.get("client") or line.get("agent"), 200))
    if not is_tool_call:
        return
    use.calls += 1
    if line.get("refusal") == "key_refused":
        use.refusals += 1
    elif line.get("outcome") == "ok" and line.get("upstream_requests", 1):  # one that asked nothing says nothing
        use.refusals, use.was_let_in = 0, True


def _sum(sums: dict[str, int], line: Mapping[str, Any]) -> None:
    sums["calls"] += 1
    sums["errors"] += line.get("outcome") != "ok"
    sums["upstream_ms"] += round(_ms(line.get("upstream_ms")))
    sums[_BUCKETS[bisect_left(BUCKETS_MS, _ms(line.get("duration_ms")))]] += 1


def _ms(value: Any) -> float:
    """A span of a line in milliseconds, made harmless: it may be missing, no number, or a nonsensical one."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return 0.0
    return min(max(value, 0.0), _MAX_MS)


def _text(value: Any, most: int) -> str:
    return storable(value)[:most] if isinstance(value, str) else ""


def _update_instances(uses: Mapping[UUID, _Use]) -> None:
    """One statement for all, in the order in which they are locked."""
    refusals = case(
        (bindparam("was_let_in"), bindparam("more")), else_=Instance.credential_refusals + bindparam("more")
    )
    reached = and_(
        refusals >= REFUSALS_TO_CHECK,
        or_(bindparam("was_let_in"), Instance.credential_refusals < REFUSALS_TO_CHECK),
    )
    last = bindparam("last", type_=Instance.last_used_at.type)
    statement = (
        update(Instance.__table__)  # type: ignore[arg-type]
        .where(Instance.id == bindparam("instance"))
        .values(
            usage_count=Instance.usage_count + bindparam("calls"),
            last_used_at=case((Instance.last_used_at > last, Instance.last_used_at), else_=last),
            credential_refusals=refusals,
            credential_due_at=case(
                (reached, bindparam("now", type_=Instance.last_used_at.type)), else_=Instance.credential_due_at
            ),
        )
    )
    rows = [
        {
            "instance": instance_id,
            "calls": use.calls,
            "last": use.last_used_at,
            "more": use.refusals,
            "was_let_in": use.was_let_in,
            "now": clock.utcnow(),
        }
        for instance_id, use in uses.items()
    ]
    db.session.connection().execute(statement, rows)


def _update_tokens(uses: Mapping[UUID, _Use]) -> None:
    last = bindparam("last", type_=InstanceToken.last_used_at.type)
    statement = (
        update(InstanceToken.__table__)  # type: ignore[arg-type]
        .where(
            InstanceToken.id == bindparam("token"),
            InstanceToken.instance_id == bindparam("instance"),
            or_(InstanceToken.last_used_at.is_(None), InstanceToken.last_used_at <= last),
        )
        .values(last_used_at=last, last_client=bindparam("client"))
    )
    rows = [
        {"token": token_id, "instance": instance_id, "last": at, "client": client}
        for instance_id, use in sorted(uses.items())
        for token_id, (at, client) in sorted(use.tokens.items())
    ]
    if rows:
        db.session.connection().execute(statement, rows)


def _add_rollups(host: str, rollups: Mapping[tuple[UUID, datetime, str], dict[str, int]]) -> None:
    table: Table = UsageRollup.__table__  # type: ignore[assignment]
    insert = (postgresql if db.engine.dialect.name == "postgresql" else sqlite).insert(table)
    statement = insert.on_conflict_do_update(
        index_elements=["instance_id", "hour", "tool", "host"],
        set_={name: table.c[name] + insert.excluded[name] for name in _SUMS},
    )
    rows = [
        {"instance_id": instance_id, "hour": hour, "tool": tool, "host": host, **sums}
        for (instance_id, hour, tool), sums in rollups.items()
    ]
    db.session.connection().execute(statement, rows)
