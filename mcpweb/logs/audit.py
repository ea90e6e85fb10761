"""The audit trail: every change is a row in the transaction that makes it, chained to the row before."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy import insert, select

from mcpweb import clock
from mcpweb.database import after_commit, db, take_turns
from mcpweb.logs import context, events
from mcpweb.logs.models import AuditEvent

_key = b""
_held: ContextVar[list[AuditEvent] | None] = ContextVar("held", default=None)


def start(key: str) -> None:
    """Set the key of the chain: without it nobody can rewrite the rows and make the digests fit again."""
    global _key
    _key = key.encode()


def record(action: str, *, actor: str, subject: str, **details: Any) -> None:
    """Add a change to the open transaction, and to the `audit` log once it is committed.

    `action` is a verb with its object (`instance.create`), `subject` the id of what was changed. Details hold
    no secret.

    Raises:
        Unavailable: the audit log can not be written; a change that nobody could retrace is refused.
    """
    record_many(action, actor=actor, changes=[(subject, details)])


def record_many(action: str, *, actor: str, changes: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Add the same change of many subjects, each with its details, to the open transaction, an entry for each.

    Raises:
        Unavailable: as `record`.
    """
    if not changes:
        return
    events.require_audit()
    take_turns("audit chain")
    last = db.session.execute(
        select(AuditEvent.seq, AuditEvent.digest).order_by(AuditEvent.seq.desc()).limit(1)
    ).one_or_none()
    seq, digest = (last.seq, last.digest) if last else (0, b"")
    at, ip = clock.utcnow().replace(microsecond=0), str(context.current().get("ip", ""))
    rows = []
    for subject, details in changes:
        seq += 1
        event = AuditEvent(
            seq=seq, at=at, action=action, actor=actor, subject=subject, ip=ip, details=dict(details), digest=b""
        )
        event.digest = digest = digest_of(digest, event)
        rows.append(event)
    columns = [column.key for column in AuditEvent.__table__.columns]
    # Not through the session, which takes twice as long while everybody else who audits has to wait.
    db.session.execute(insert(AuditEvent), [{name: getattr(row, name) for name in columns} for row in rows])
    # The logged digest is the anchor of the chain: outside the database, and kept longest of all logs.
    after_commit(lambda: _log(rows))


@contextmanager
def held() -> Iterator[None]:
    """Log the changes of the block at its end, and none when it fails: for a database that is thrown away then."""
    waiting: list[AuditEvent] = []
    before = _held.set(waiting)
    try:
        yield
    finally:
        _held.reset(before)
    _log(waiting)


def _log(rows: Sequence[AuditEvent]) -> None:
    if (waiting := _held.get()) is not None:
        waiting.extend(rows)
        return
    for row in rows:
        told = {**row.details, "seq": row.seq, "chain": row.digest.hex(), "actor": row.actor, "subject": row.subject}
        events.audit(row.action, **told)


def digest_of(before: bytes, event: AuditEvent) -> bytes:
    """The digest of an entry after the one with the digest `before`: HMAC-SHA-256 over both."""
    said = [event.seq, event.at.isoformat(), event.action, event.actor, event.subject, event.ip, event.details]
    body = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hmac.digest(_key, before + body.encode(), "sha256")
