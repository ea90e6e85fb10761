"""A web process beside a database of another revision: it serves nothing, and begins by itself when it may."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import text

from mcpweb import revision
from mcpweb.database import REVISION, db, transaction
from tests.form_client import FormClient
from tests.instances.endpoint import call
from tests.waiting import until

MIGRATIONS = sorted((Path(__file__).parents[1] / "migrations" / "versions").glob("*.py"))
OPEN = {"static", "monitoring.alive", "monitoring.ready"}


@contextmanager
def database_at(version: str, oldest: str = "") -> Iterator[None]:
    """The database says that it is at another revision, and since when programs can stand it."""
    _say(version, oldest)
    try:
        yield
    finally:
        _say(REVISION, "")


def _say(version: str, oldest: str) -> None:
    with transaction():
        db.session.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": version})
        db.session.execute(text("DELETE FROM compatibility"))
        if oldest:
            db.session.execute(text("INSERT INTO compatibility (id, oldest) VALUES (1, :oldest)"), {"oldest": oldest})


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, app: Flask) -> Iterator[None]:
    """Another revision is noticed at once; at the end everything is served again."""
    monkeypatch.setattr(revision, "ASK_S", 0.05)
    yield
    until(lambda: app.test_client().get("/sign-in").status_code == 200, "it serves again")


def test_on_another_revision_every_route_with_every_method_answers_503_and_works_again_by_itself(
    app: Flask, quick: None, carol: FormClient, make_instance: Callable[..., tuple[object, str]]
) -> None:
    instance, token = make_instance()
    with database_at("0002"):
        until(lambda: carol.get("/sign-in").status == 503, "the other revision is noticed")
        assert "being brought to another version of mcpweb" in carol.page.text
        answers = {}
        for rule in app.url_map.iter_rules():
            path = app.url_map.bind("localhost").build(rule.endpoint, _filled(rule.arguments))
            for method in sorted(rule.methods or ()):
                answer = carol.transport.raw(f"http://localhost:8080{path}", method=method)  # type: ignore[attr-defined]
                answers[rule.endpoint, method] = answer.status_code
        status, answer = call(app, instance.id, token)  # type: ignore[attr-defined]

        assert {name for name, status in answers.items() if status != 503 and name[0] not in OPEN} == set()
        assert answers["monitoring.alive", "GET"] == 200
        assert answers["monitoring.ready", "GET"] == 503
        assert status == 503 and answer["error"]["code"] == -32603
        assert "being brought to another version" in answer["error"]["message"]

    until(lambda: carol.get("/admin").status == 200, "pages are served again")
    assert call(app, instance.id, token)[0] == 200  # type: ignore[attr-defined]


def test_a_newer_revision_is_served_only_when_it_says_that_this_program_can_stand_it(app: Flask, quick: None) -> None:
    client = app.test_client()

    def status() -> int:
        return client.get("/sign-in").status_code

    with database_at("9999", oldest=REVISION):
        assert revision.is_right(db.session.connection())
    with database_at("9999", oldest="9998"):
        until(lambda: status() == 503, "it is refused")
    until(lambda: status() == 200, "it is served again")
    with database_at("9999"):
        until(lambda: status() == 503, "one that says nothing is refused, too")


def _filled(arguments: set[str]) -> dict[str, object]:
    return {name: _EXAMPLES.get(name, "github") for name in arguments}


_EXAMPLES = {"instance_id": uuid4(), "export_id": uuid4(), "filename": "css/base.css"} | dict.fromkeys(
    ("token_id", "session_id", "user_id", "line_id", "alert_id", "search_id", "stop_id", "run_id"), 1
)

TAKES_AWAY = {"drop_table", "drop_column", "drop_constraint", "drop_index", "rename_table", "alter_column", "execute"}
ALLOWED = {
    ("0002", "drop_index"): "the index on instance.expires_at became one on status and expires_at",
}
"""What a migration may take away, by revision and operation, and why the program before does not miss it."""


@pytest.mark.parametrize("path", MIGRATIONS, ids=lambda path: path.stem[:4])
def test_a_migration_takes_nothing_away_that_the_program_before_still_uses(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}

    def called(name: str) -> Iterator[ast.Call]:
        for node in ast.walk(functions[name]):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in functions:
                yield from called(node.func.id)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                yield node

    number = path.stem[:4]
    found = [node for node in called("upgrade") if isinstance(node.func, ast.Attribute)]
    taken = {node.func.attr for node in found if isinstance(node.func, ast.Attribute)} & TAKES_AWAY
    assert {operation for operation in taken if (number, operation) not in ALLOWED} == set()
    for node in found:  # a new column that must have a value is one that the program before does not fill in
        if isinstance(node.func, ast.Attribute) and node.func.attr == "add_column":
            column = ast.unparse(node.args[1])
            assert "nullable=True" in column or "server_default" in column, f"{number}: {column}"
