"""What a database holds, asked in the one snapshot that its copy is made of, or of the copy itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, inspect, select, table, text

from mcpweb.database import Base
from mcpweb.instances.models import Instance
from mcpweb.logs.models import AuditEvent

VERSIONS = "alembic_version"


@dataclass(frozen=True, slots=True)
class Facts:
    """`revision` is empty for a database that nobody has migrated."""

    revision: str
    rows: Mapping[str, int]
    audit_seq: int
    audit_digest: str
    keys_needed: tuple[str, ...]


def tables(connection: Connection) -> list[str]:
    """Our tables that are there, and Alembic's; what others keep in the same database is none of our business."""
    ours = {*Base.metadata.tables, VERSIONS}
    return sorted(ours & set(inspect(connection).get_table_names()))


def ask(connection: Connection) -> Facts:
    """Count and look."""
    names = tables(connection)
    rows = {name: connection.scalar(select(func.count()).select_from(table(name))) or 0 for name in names}
    revision = connection.scalar(text(f"SELECT version_num FROM {VERSIONS}")) if VERSIONS in names else None  # noqa: S608
    last = None
    if AuditEvent.__tablename__ in names:
        newest = select(AuditEvent.seq, AuditEvent.digest).order_by(AuditEvent.seq.desc()).limit(1)
        last = connection.execute(newest).one_or_none()
    needed: tuple[str, ...] = ()
    if Instance.__tablename__ in names:
        key = Instance.credential_key_id
        needed = tuple(connection.scalars(select(key).distinct().order_by(key)))
    seq, digest = (last.seq, last.digest.hex()) if last else (0, "")
    return Facts(revision or "", rows, seq, digest, needed)
