"""What is slow or fails in the database is in its log, without what users typed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError, TimeoutError

from mcpweb import clock
from mcpweb.accounts.models import Role, User
from mcpweb.database import db, transaction
from mcpweb.logs import events, watching
from mcpweb.logs.writing import LogFiles

SLOW = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000) "
    "SELECT count(*) FROM n WHERE :word <> 'x'",
    "postgresql": "SELECT pg_sleep(0.12) WHERE CAST(:word AS text) <> 'x'",
}


@pytest.fixture
def said(app: Flask, process_state: None, tmp_path: Path) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Gives the lines of the database log."""
    events.start(LogFiles(tmp_path))

    def read() -> list[dict[str, Any]]:
        paths = sorted((tmp_path / "system").glob("database-*.jsonl"))
        return [json.loads(raw) for path in paths for raw in path.read_bytes().splitlines()]

    yield read


def test_a_slow_statement_is_logged_with_its_duration_and_without_its_parameters(said):
    db.session.execute(text("SELECT CAST(:word AS varchar(20))"), {"word": "hunter2-quick"})
    db.session.execute(text(SLOW[db.engine.dialect.name]), {"word": "hunter2-slow"})

    [line] = said()
    assert (line["message"], line["level"], line["category"]) == ("slow statement", "warning", "database")
    assert line["duration_ms"] >= watching.SLOW_MS
    assert "SELECT" in line["statement"] and "hunter2" not in json.dumps(line)


def test_an_error_of_the_database_is_logged_by_its_class_and_without_what_was_to_be_stored(said):
    for _ in range(2):
        user = User(email="hunter2@example.com", role=Role.USER, created_at=clock.utcnow())
        try:
            with transaction():
                db.session.add(user)
        except IntegrityError:
            pass
    with pytest.raises(DBAPIError):
        db.session.execute(text("SELECT * FROM no_such_table WHERE x = :x"), {"x": "hunter2"})
    db.session.rollback()

    twice, missing = said()
    assert (twice["message"], twice["level"]) == ("database error", "warning")
    assert missing["level"] == "error" and "no_such_table" in missing["statement"]
    assert twice["error"] and twice["code"] and missing["error"]
    assert "hunter2" not in json.dumps([twice, missing])


def test_a_connection_that_is_given_up_is_logged(said):
    db.session.connection().invalidate(ValueError("any"))
    db.session.rollback()

    assert [(line["message"], line["error"]) for line in said()] == [
        ("a database connection was given up", "ValueError")
    ]


def test_the_application_says_when_all_connections_are_in_use(said, tmp_path):
    assert isinstance(db.engine.pool, watching.WatchedPool)
    options: dict[str, Any] = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.01}
    engine = create_engine(f"sqlite:///{tmp_path / 'one'}", poolclass=watching.WatchedPool, **options)

    with engine.connect(), pytest.raises(TimeoutError):
        engine.connect()

    [line] = said()
    assert (line["message"], line["level"]) == ("all database connections are in use", "error")
    assert (line["size"], line["in_use"]) == (1, 1)
    engine.dispose()
