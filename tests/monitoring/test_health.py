"""What machines ask: is it alive, can it work."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from mcpweb import clock, migrating
from mcpweb.application import create_app
from mcpweb.database import db, transaction
from tests.form_client import FormClient, InProcess
from tests.monitoring.statements import statements
from tests.parallel import at_once
from tests.waiting import until


def test_health_says_little_and_readiness_knows_the_revision_of_the_database(browser, app):
    assert (browser.get("/healthz").text.strip(), browser.page.status) == ('{"status":"ok"}', 200)
    until(lambda: browser.get("/readyz").status == 200, "it is ready")
    assert browser.page.text.strip() == '{"status":"ok"}'

    with transaction():
        right = db.session.scalar(text("SELECT version_num FROM alembic_version"))
        db.session.execute(text("UPDATE alembic_version SET version_num = 'older'"))
    try:
        until(lambda: browser.get("/readyz").status == 503, "the other revision is noticed")
        assert browser.page.text.strip() == '{"status":"migrations"}'
    finally:
        with transaction():
            db.session.execute(text("UPDATE alembic_version SET version_num = :right"), {"right": right})
    until(lambda: browser.get("/readyz").status == 200, "the right one is noticed")


def test_strangers_who_ask_again_and_again_cost_one_look_at_the_database_a_second(app, new_browser, monkeypatch):
    until(lambda: new_browser().get("/readyz").status == 200, "it is ready")
    now = clock.monotonic()
    monkeypatch.setattr(clock, "monotonic", lambda: now + 2)
    with statements(db.engine) as once:
        new_browser().get("/readyz")
    monkeypatch.setattr(clock, "monotonic", lambda: now + 4)
    with statements(db.engine) as many:
        answers = at_once([lambda: new_browser().get("/readyz").status for _ in range(30)])
        new_browser().get("/healthz")

    assert set(answers) == {200}
    assert 0 < len(many) == len(once) < 10


def test_without_redis_it_is_ready_and_says_what_is_away_and_nothing_else(other_app):
    app = other_app(redis_url="redis://:word@127.0.0.1:1/0")
    page = FormClient(InProcess(app), "http://localhost:8080").get("/readyz")

    assert page.status == 200
    assert json.loads(page.text) == {"status": "ok", "warnings": ["redis"]}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_first_start_is_waited_for_without_an_error_in_the_log(settings, process_state, tmp_path):
    app = create_app(
        replace(settings, home=tmp_path, database_url=f"sqlite:///{tmp_path / 'new.sqlite3'}", log_database_url="")
    )
    browser = FormClient(InProcess(app), "http://localhost:8080")

    assert browser.get("/readyz").status == 503
    assert browser.page.text.strip() == '{"status":"migrations"}'
    with app.app_context():
        migrating.upgrade()
    until(lambda: browser.get("/readyz").status == 200, "it is ready")
    assert not database_errors(tmp_path / "logs")


def database_errors(logs: Path) -> list[str]:
    """The lines of the database log that are errors."""
    lines = [line for file in logs.glob("system/database-*.jsonl") for line in file.read_text().splitlines()]
    return [line for line in lines if json.loads(line)["level"] == "error"]
