"""A database that is away stops calls, also those that could be answered from memory; back again, so are they."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import event
from sqlalchemy.engine import make_url

from mcpweb.database import db
from mcpweb.settings import Settings
from tests.fault_proxy import FaultProxy
from tests.instances import endpoint
from tests.waiting import until

pytestmark = [
    pytest.mark.parametrize("database_url", ["postgresql"], indirect=True),
    pytest.mark.xdist_group("waits: database watch"),
]


@pytest.fixture
def to_database(settings: Settings) -> Iterator[FaultProxy]:
    """The way to the database."""
    url = make_url(settings.database)
    with FaultProxy(f"{url.query['host']}/.s.PGSQL.{url.port or 5432}") as proxy:
        yield proxy


@pytest.fixture
def host(other_app, settings: Settings, to_database: FaultProxy) -> Flask:
    """A web process that reaches its database only so."""
    away = make_url(settings.database).set(host="127.0.0.1", port=to_database.port, query={})
    return other_app(database_url=away.render_as_string(hide_password=False), identical_calls=0)


@pytest.mark.parametrize("mode", ["refuse", "half"])
def test_no_call_is_answered_from_memory_while_the_database_is_away(mode, host, to_database, make_instance):
    instance, token = make_instance()
    until(lambda: _answered_from_memory(host, instance.id, token), "calls are answered from memory")

    to_database.set(mode)
    until(lambda: endpoint.call(host, instance.id, token)[0] == 503, "calls are refused")
    status, answer = endpoint.call(host, instance.id, token)

    assert status == 503
    assert answer["error"]["message"] == "The database does not answer. Try again in a minute."
    assert {endpoint.call(host, instance.id, token)[0] for _ in range(20)} == {503}

    to_database.set("pass")
    until(lambda: endpoint.works(host, instance.id, token), "calls are answered again")


def _answered_from_memory(host: Flask, instance_id: UUID, token: str) -> bool:
    stats = host.extensions["mcpweb_house"].access.stats
    before = stats.hits
    return endpoint.works(host, instance_id, token) and stats.hits > before


def test_a_token_that_was_never_seen_is_refused_as_well(host, to_database, make_instance):
    instance, token = make_instance()
    other, other_token = make_instance(label="Other")
    assert endpoint.works(host, instance.id, token)

    to_database.set("refuse")
    until(lambda: endpoint.call(host, instance.id, token)[0] == 503, "calls are refused")

    assert endpoint.call(host, other.id, other_token)[0] == 503
    to_database.set("pass")
    until(lambda: endpoint.works(host, other.id, other_token), "calls are answered again")


def test_a_call_whose_connection_is_lost_after_the_last_question_is_refused_and_no_bug(
    host, to_database, make_instance
):
    instance, token = make_instance()
    until(lambda: endpoint.works(host, instance.id, token), "calls are answered")
    with host.app_context():
        engine = db.engine

    def lose(connection, cursor, statement, *_):
        if "FROM stop" in statement:
            to_database.set("refuse")

    host.extensions["mcpweb_house"].access.clear()
    event.listen(engine, "after_cursor_execute", lose)
    try:
        status, answer = endpoint.call(host, instance.id, token)
    finally:
        event.remove(engine, "after_cursor_execute", lose)

    assert (status, answer["error"]["message"]) == (503, "The database does not answer. Try again in a minute.")
