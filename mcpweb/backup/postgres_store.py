"""The tables in PostgreSQL: setting them aside for others, taking them back, and a database for a rehearsal."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import ProgrammingError

from mcpweb.backup import facts
from mcpweb.database import prepare_engine
from mcpweb.errors import Conflict

PART = "database.pgdump"


def engine_of(url: str) -> Engine:
    """A way to a database beside the application's, of either kind."""
    engine = create_engine(url, hide_parameters=True)
    prepare_engine(engine)
    return engine


def major(engine: Engine) -> int:
    """The server's version: 16."""
    with engine.connect() as connection:
        return int(connection.scalar(text("SHOW server_version_num")) or 0) // 10_000


def set_aside(engine: Engine, stamp: str) -> str:
    """Move our tables, with all that is in them, into a schema of their own; returns its name, empty without any."""
    schema = f"mcpweb_before_{stamp.replace('-', '_')}"
    with engine.begin() as connection:
        names = facts.tables(connection)
        if not names:
            return ""
        connection.execute(text(f'CREATE SCHEMA "{schema}"'))
        for name in names:
            connection.execute(text(f'ALTER TABLE "{name}" SET SCHEMA "{schema}"'))
    return schema


def take_back(engine: Engine, schema: str) -> None:
    """Undo `set_aside`, and throw away what has come into the place of the tables meanwhile."""
    drop(engine)
    if not schema:
        return
    with engine.begin() as connection:
        found = connection.scalars(
            text("SELECT tablename FROM pg_tables WHERE schemaname = :schema"), {"schema": schema}
        ).all()
        home = connection.scalar(text("SELECT current_schema()"))
        for name in found:
            connection.execute(text(f'ALTER TABLE "{schema}"."{name}" SET SCHEMA "{home}"'))
        connection.execute(text(f'DROP SCHEMA "{schema}"'))


def drop(engine: Engine) -> None:
    """Delete our tables."""
    with engine.begin() as connection:
        for name in facts.tables(connection):
            connection.execute(text(f'DROP TABLE "{name}" CASCADE'))


@contextmanager
def spare_database(url: str) -> Iterator[str]:
    """An empty database on the same server; it is dropped at the end.

    Raises:
        Conflict: the user of the address may not create one.
    """
    name = f"mcpweb_rehearsal_{secrets.token_hex(4)}"
    owner = create_engine(url, isolation_level="AUTOCOMMIT", hide_parameters=True)
    prepare_engine(owner)
    try:
        with owner.connect() as connection:
            try:
                connection.execute(text(f"CREATE DATABASE {name} TEMPLATE template0"))
            except ProgrammingError:
                raise Conflict(
                    "A rehearsal needs a database of its own, and this user may not create one. "
                    "Name one in MCPWEB_DATABASE_URL who may (ALTER ROLE … CREATEDB), or an empty test server."
                ) from None
        try:
            yield make_url(url).set(database=name).render_as_string(False)
        finally:
            with owner.connect() as connection:
                connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
    finally:
        owner.dispose()
