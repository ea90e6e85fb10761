"""Making a backup while everything runs."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from mcpweb import __version__, clock
from mcpweb.backup import facts, log_part, postgres_store, postgres_tools, sealed_keys, sqlite_store
from mcpweb.backup.archive import MANIFEST, Tell, Writer
from mcpweb.backup.facts import Facts
from mcpweb.backup.manifest import Manifest
from mcpweb.backup.sealed_keys import Keys
from mcpweb.crypto import with_keys
from mcpweb.database import transaction
from mcpweb.errors import Conflict, Unavailable
from mcpweb.hosts import host_id
from mcpweb.logs import audit
from mcpweb.logs.lines import HOST
from mcpweb.settings import Settings

KEYS_PART = "keys.sealed"
SUBJECT = "backup"


@dataclass(frozen=True, slots=True)
class Made:
    """A finished backup."""

    path: Path
    size: int
    manifest: Manifest


def make(settings: Settings, path: Path, tell: Tell, *, passphrase: str | None, with_logs: bool) -> Made:
    """Write the installation into one file; without a passphrase, the keys are left out.

    Raises:
        Conflict: the file is there already, or the database has no tables.
        NotFound, Unavailable: the database or a tool is missing, or fails; the disk is full.
        InvalidInput: the passphrase is too short.
    """
    settings = with_keys(settings)
    keys = Keys(settings.secret_key, settings.encryption_keys)
    with _failures(path), Writer(path) as writer:
        if passphrase is not None:
            with writer.part(KEYS_PART) as part:
                part.write(sealed_keys.seal(keys, passphrase))
        made_at = clock.utcnow()
        database = _sqlite if settings.database.startswith("sqlite:") else _postgres
        found = database(settings, writer, tell)
        if with_logs:
            tell("copying the logs")
            with writer.part(log_part.PART) as part:
                log_part.pack(settings.home / "logs", part)
        manifest = Manifest(
            version=__version__,
            revision=found.revision,
            database="sqlite" if database is _sqlite else "postgresql",
            made_at=made_at.isoformat(),
            host=host_id(settings.home / "run"),
            host_name=HOST,
            rows=found.rows,
            audit_seq=found.audit_seq,
            audit_digest=found.audit_digest,
            keys_needed=found.keys_needed,
            secret_check=keys.check,
            has_keys=passphrase is not None,
            has_logs=with_logs,
            parts=dict(writer.parts),
        )
        with writer.part(MANIFEST) as part:
            part.write(manifest.dump())
    return Made(path, path.stat().st_size, manifest)


def note(made: Made) -> None:
    """Say in the audit trail that there is a backup, within an application context: health shows the newest one.

    Raises:
        Unavailable: the audit log can not be written.
    """
    told = {"made_at": made.manifest.made_at, "file": str(made.path), "bytes": made.size}
    held = {"with_keys": made.manifest.has_keys, "with_logs": made.manifest.has_logs}
    with transaction():
        audit.record("backup.create", actor="command line", subject=SUBJECT, **told, **held)


def _sqlite(settings: Settings, writer: Writer, tell: Tell) -> Facts:
    copy = writer.path.with_name(f".{writer.path.name}.database")
    try:
        sqlite_store.copy(sqlite_store.path_of(settings.database), copy, tell)
        engine = postgres_store.engine_of(f"sqlite:///{copy}")
        try:
            with engine.connect() as connection:
                found = facts.ask(connection)
        finally:
            engine.dispose()
        _expect_tables(found)
        tell("compressing the database")
        with writer.part(sqlite_store.PART) as part:
            sqlite_store.pack(copy, part)
    finally:
        sqlite_store.remove(copy)
    return found


def _postgres(settings: Settings, writer: Writer, tell: Tell) -> Facts:
    engine = postgres_store.engine_of(settings.database)
    try:
        tool = postgres_tools.find("pg_dump", postgres_store.major(engine))
        with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            snapshot = connection.scalar(text("SELECT pg_export_snapshot()"))
            found = facts.ask(connection)
            _expect_tables(found)
            tell("dumping the database")
            with writer.part(postgres_store.PART) as part:
                postgres_tools.dump(tool, settings.database, str(snapshot), list(found.rows), part)
    finally:
        engine.dispose()
    return found


def _expect_tables(found: Facts) -> None:
    if not found.revision:
        raise Conflict("The database has no tables of mcpweb. Look at MCPWEB_HOME and MCPWEB_DATABASE_URL.")


@contextmanager
def _failures(path: Path) -> Iterator[None]:
    """Turn what the machine can do to us into a sentence."""
    try:
        yield
    except OSError as error:
        reason = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else str(error.strerror)
        raise Unavailable(f"{path} could not be written: {reason}. Nothing of it was kept.") from None
    except SQLAlchemyError as error:
        raise Unavailable(f"The database does not answer ({type(error).__name__}). Nothing was written.") from None
