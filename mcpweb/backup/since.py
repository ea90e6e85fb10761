"""What the present installation did since a backup was made, as far as its audit trail can still be read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from mcpweb.backup.manifest import Manifest
from mcpweb.backup.postgres_store import engine_of
from mcpweb.instances.models import Notice
from mcpweb.logs import days
from mcpweb.logs.models import AuditEvent

_MARGIN = timedelta(hours=1)
"""For a copy that takes its time, and clocks that differ."""


@dataclass(frozen=True, slots=True)
class Change:
    """An entry of the audit trail."""

    seq: int
    at: datetime
    action: str
    actor: str
    subject: str
    details: Mapping[str, Any]


Mailed = tuple[int, UUID, str, datetime]
"""A notice to an owner: its number, its instance, its kind, and when it was noted."""


@dataclass(frozen=True, slots=True)
class Since:
    """`source` names where the changes were read; empty when nobody can know them."""

    source: str
    changes: tuple[Change, ...] = ()
    mailed: frozenset[Mailed] = frozenset()
    """What was noted before the backup and mailed since; only the database knows."""


def look(manifest: Manifest, database_url: str, log_folder: Path) -> Since:
    """Ask the present database, which has the changes of all hosts, or else the audit log of this host.

    Either must hold the very entry that was the newest in the backup: another installation's changes mean nothing here.
    """
    if not manifest.audit_seq:
        return Since("")
    found = _in_database(manifest, database_url)
    if found is not None:
        return found
    changes = _in_log(manifest, log_folder)
    if changes is not None:
        return Since("the audit log of this host, which lacks what was done through other hosts", tuple(changes))
    return Since("")


def _in_database(manifest: Manifest, url: str) -> Since | None:
    if url.startswith("sqlite:") and not Path(url.removeprefix("sqlite:///")).exists():
        return None
    engine = engine_of(url)
    columns = (
        AuditEvent.seq,
        AuditEvent.at,
        AuditEvent.action,
        AuditEvent.actor,
        AuditEvent.subject,
        AuditEvent.details,
    )
    try:
        with engine.connect() as connection:
            newest = connection.scalar(select(AuditEvent.digest).where(AuditEvent.seq == manifest.audit_seq))
            if newest is None or newest.hex() != manifest.audit_digest:
                return None
            rows = connection.execute(
                select(*columns).where(AuditEvent.seq > manifest.audit_seq).order_by(AuditEvent.seq)
            )
            changes = tuple(Change(*row) for row in rows)
            return Since("the present database", changes, frozenset(_mailed(connection, manifest)))
    except (SQLAlchemyError, ValueError):  # it is gone, or damaged: that may be why there is a restore
        return None
    finally:
        engine.dispose()


def _mailed(connection: Connection, manifest: Manifest) -> Iterator[Mailed]:
    columns = (Notice.id, Notice.instance_id, Notice.kind, Notice.created_at)
    since = (Notice.created_at <= manifest.moment, Notice.sent_at >= manifest.moment - _MARGIN)
    for row in connection.execute(select(*columns).where(*since)):
        yield (row.id, row.instance_id, row.kind, row.created_at)


def _in_log(manifest: Manifest, folder: Path) -> list[Change] | None:
    found, is_ours = [], False
    for line in _audit_lines(folder):
        try:
            seq, chain, at = int(line["seq"]), line["chain"], datetime.fromisoformat(line["time"]).astimezone(UTC)
            is_ours = is_ours or (seq == manifest.audit_seq and chain == manifest.audit_digest)
            # By time and not by number: numbers come again after an earlier restore.
            if at >= manifest.moment and (seq, chain) != (manifest.audit_seq, manifest.audit_digest):
                found.append(Change(seq, at, line["message"], line["actor"], line["subject"], line))
        except (ValueError, KeyError, TypeError):
            continue
    return sorted(found, key=lambda change: change.at) if is_ours else None


def _audit_lines(folder: Path) -> Iterator[dict[str, Any]]:
    for file in days.find(folder).days:
        for path in (file.packed, file.plain) if file.is_system and file.category == "audit" else ():
            if not days.is_there(path):
                continue
            try:
                for raw, _ in days.lines(path):
                    line = json.loads(raw) if raw else None
                    if isinstance(line, dict):
                        yield line
            except (days.Unreadable, ValueError, RecursionError):  # what stands before it counts
                continue
