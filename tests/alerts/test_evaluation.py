"""When an alert opens and closes: not at the first look, not to and fro, once however many look, whatever fails."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from mcpweb.alerts import desk, evaluation
from mcpweb.alerts.models import AlertWatch
from mcpweb.database import db, transaction
from mcpweb.errors import Unavailable
from mcpweb.jobs import alerting
from tests.alerts.happening import MINUTE, alerts, begin, limit, look, messages, opened, sample
from tests.parallel import at_once


def values(*found: float) -> list[int]:
    """How many alerts about errors there are (tens), and how many are open (ones), after each look at such a value."""
    start, told = begin(), []
    for minute, value in enumerate(found):
        look(start + minute * MINUTE, errors=value)
        told.append(len(alerts("errors")) * 10 + len(opened("errors")))
    return told


def test_a_value_that_hovers_at_the_limit_does_not_come_and_go(app):
    # The limit is 5, and it is over below 4.
    assert values(4.9, 5, 4.9, 5, 5, 4.9, 4.5, 5, 4.2, 4.9, 4.1, 5.1, 3.9, 3.9, 4.1, 3.9, 3.9, 3.9, 5, 4) == [
        *(0, 0, 0, 0, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 10, 10, 10)
    ]


def test_a_single_bad_minute_is_no_alert_and_a_limit_of_nothing_is_never_reached(app):
    assert values(100, 0, 100, 0) == [0, 0, 0, 0]
    limit("alert_errors", 0)
    assert values(100, 100, 100) == [0, 0, 0]


def test_an_administrators_limit_holds_from_the_next_look_on(app):
    limit("alert_errors", 50)
    assert values(40, 40, 40) == [0, 0, 0]
    with transaction():
        db.session.delete(db.session.get(AlertWatch, ("all", "")))
    limit("alert_errors", 30)
    assert values(40, 40) == [0, 11]
    assert alerts()[0].threshold == 30


def test_what_is_not_there_any_more_is_over(app):
    start = begin()
    for minute in range(6):
        if minute < 2:
            sample(start + minute * MINUTE, disk=99)
        look(start + (minute if minute < 2 else minute + 20) * MINUTE)

    assert [one.subject for one in alerts("disk")] == ["aaaabbbbcccc"]
    assert opened("disk") == []
    assert db.session.scalars(select(AlertWatch).where(AlertWatch.rule == "disk")).all() == []


def test_several_that_look_at_once_count_a_minute_once_open_one_alert_and_tell_it_once(app, carol):
    start = begin()

    def looks(at):
        with app.app_context():
            return look(at, errors=100)

    for minute in range(2):
        reports = at_once([lambda minute=minute: looks(start + minute * MINUTE) for _ in range(4)])
        assert sum("skipped" not in report for report in reports) == 1
        assert len(alerts()) == minute

    assert [(one.kind, one.address) for one in messages()] == [("opened", "carol@example.com")]


def test_a_slow_look_that_meets_the_next_one_opens_no_second_alert(app, carol, monkeypatch):
    monkeypatch.setattr(evaluation, "_APART", timedelta(0))
    start = begin()
    look(start, errors=100)

    def looks():
        with app.app_context():
            look(start + MINUTE, errors=100)

    at_once([looks] * 4)

    assert len(alerts()) == len(messages()) == 1


def test_a_question_that_fails_stops_no_other_and_changes_nothing_of_its_own_rule(app, carol):
    start = begin()
    for minute in range(2):
        look(start + minute * MINUTE, errors=100)

    def away(moment):
        raise Unavailable("The index does not answer.")

    def wrong(moment):
        raise ZeroDivisionError

    def broken_sql(moment):
        db.session.execute(select(db.text("no_such_column")))

    for minute in range(2, 7):
        broken = {"errors": away, "sign-ins": wrong, "disk": broken_sql}
        found = {**alerting.questions(), **broken, "jobs": lambda _: [alerting.Reading(1, "recount", "Recount")]}
        report = evaluation.look(found, start + minute * MINUTE)
        assert report["not_looked_at"] == ["errors", "disk", "sign-ins"]

    assert (opened("errors"), opened("jobs")) == ([""], ["recount"])
    page = carol.get("/admin/alerts")
    assert page.text.count("Could not be looked at") == 3
    look(start + 8 * MINUTE, errors=0)
    assert "Could not be looked at" not in carol.get("/admin/alerts").text


def test_a_clock_that_was_set_back_stops_no_look(app):
    start = begin()
    look(start + timedelta(hours=5), errors=100)
    for minute in range(2):
        look(start + minute * MINUTE, errors=100)

    assert opened("errors") == [""]


def test_a_reminder_comes_once_a_day_until_somebody_knows(app, carol):
    start = begin()
    days = []
    for day in range(4):
        for minute in range(3):
            look(start + timedelta(days=day) + minute * MINUTE, errors=100)
        days.append([one.kind for one in messages()])
        if day == 2:
            desk.acknowledge(alerts()[0], "I look at it.", "carol@example.com")

    assert days == [["opened"], ["opened", "reminder"], ["opened", "reminder", "reminder"], days[2]]


@pytest.mark.parametrize("table", ["traffic_minute", "resource_sample", "job_run"])
def test_what_grows_is_asked_by_its_index(table, app):
    if db.engine.dialect.name != "sqlite":
        return  # plans by the number of rows; the statements are the same
    asked: list[str] = []

    @db.event.listens_for(db.engine, "before_cursor_execute")
    def note(connection, cursor, statement, parameters, context, many):
        if f"FROM {table}" in statement and statement.startswith("SELECT"):
            asked.append((statement, parameters))

    try:
        for question in alerting.questions().values():
            question(begin())
    finally:
        db.event.remove(db.engine, "before_cursor_execute", note)

    assert asked
    for statement, parameters in asked:
        plan = db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
        assert not [row for row in plan if f"SCAN {table}" in row[-1] and "INDEX" not in row[-1]], plan
