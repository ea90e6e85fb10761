"""Migrations that are killed, and several that run at once: all of one or nothing of it, and the next run ends well."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import sqlalchemy
from sqlalchemy import make_url

from mcpweb.database import REVISION

ROOT = Path(__file__).resolve().parents[1]
CANARY = "canary-secret-value"
KILLED_AT = (*range(1, 72, 4), 71, 72)
"""Statements that write, of which 72 make the tables; so many times it is killed, from the first to the last one."""


@pytest.fixture(params=["sqlite", "postgresql"])
def environ(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """An installation with an empty database."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MCPWEB_")}
    clean["MCPWEB_HOME"] = str(tmp_path / "home")
    if request.param == "postgresql":
        url = str(request.getfixturevalue("postgres_url"))
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            name = f"migrating_{uuid4().hex}"
            connection.execute(f"CREATE DATABASE {name}")
        clean["MCPWEB_DATABASE_URL"] = make_url(url).set(database=name).render_as_string(False)
    else:
        (tmp_path / "home").mkdir()
        clean["MCPWEB_DATABASE_URL"] = f"sqlite:///{tmp_path / 'home' / 'mcpweb.sqlite3'}"
    return clean


def _migrate(environ: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mcpweb", "migrate"]
    return subprocess.Popen(
        command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def _state(environ: dict[str, str]) -> tuple[str | None, int]:
    """The revision that the database says it has, and how many tables there are."""
    url = environ["MCPWEB_DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://")
    engine = sqlalchemy.create_engine(url)
    try:
        with engine.connect() as connection:
            tables = sqlalchemy.inspect(connection).get_table_names()
            has = "alembic_version" in tables
            query = sqlalchemy.text("SELECT version_num FROM alembic_version")
            return connection.scalar(query) if has else None, len(tables)
    finally:
        engine.dispose()


def test_two_hosts_that_migrate_at_once_both_end_well(environ: dict[str, str]) -> None:
    both = [_migrate(environ), _migrate(environ)]
    said = [process.communicate(timeout=60)[1] for process in both]

    assert [process.returncode for process in both] == [0, 0], said
    assert _state(environ)[0] == REVISION


def test_a_database_that_can_not_be_reached_is_said_in_a_sentence_without_its_password(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"postgresql+psycopg://mcpweb:{CANARY}@127.0.0.1:{port}/mcpweb"
    process = _migrate({**os.environ, "MCPWEB_HOME": str(tmp_path), "MCPWEB_DATABASE_URL": url})
    _, said = process.communicate(timeout=60)

    assert process.returncode == 1
    assert said.startswith("Error: The database can not be brought up to date: connection failed"), said
    assert said.count("\n") == 1 and str(port) in said and CANARY not in said


def test_a_migration_that_is_killed_leaves_all_or_nothing_and_the_next_one_ends_well(
    environ: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-c", KILLED, *map(str, KILLED_AT)]
    killed = subprocess.run(command, cwd=ROOT, env=environ, check=True, capture_output=True, text=True, timeout=120)
    assert killed.stdout.split() == ["-9"] * len(KILLED_AT), killed.stderr
    assert _state(environ) == (None, 0), "nothing is half done"

    last = _migrate(environ)
    last.communicate(timeout=60)
    assert last.returncode == 0
    assert _state(environ)[0] == REVISION


KILLED = """
import os, signal, sys
from sqlalchemy import Engine, event
import alembic.command, mcpweb.application, mcpweb.migrating  # once, and not in each process that is killed
from mcpweb.cli import cli

def die_at(statements):
    left = [statements]

    @event.listens_for(Engine, "before_cursor_execute")
    def count(_connection, _cursor, statement, *_):
        if statement.lstrip().startswith(("CREATE", "INSERT", "ALTER", "UPDATE")):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    cli(["migrate"])

for statements in map(int, sys.argv[1:]):
    child = os.fork()
    if not child:
        die_at(statements)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
