"""A web process looks in the worker's place when no worker does, so that somebody is told that it is gone."""

from __future__ import annotations

from datetime import timedelta

from mcpweb import clock
from mcpweb.alerts.models import AlertWatch
from mcpweb.database import db, transaction
from mcpweb.jobs import alerting, timetable
from mcpweb.jobs.models import Schedule
from tests.ageing import age
from tests.alerts.happening import heard, opened


def beat(look) -> None:
    look(db.engine, clock.utcnow())
    db.session.rollback()


def schedule(**changes: object) -> None:
    with transaction():
        timetable.insert_missing(db.session.connection(), clock.utcnow())
        for name, value in changes.items():
            setattr(db.session.get(Schedule, "watch_alerts"), name, value)


def test_that_the_last_worker_is_gone_is_told_by_a_web_process(app, carol, mail_server):
    schedule()
    heard(clock.utcnow() - timedelta(minutes=9), "worker")
    alerting.watch_alerts()
    look = alerting.stand_in(app)
    for _ in range(2):
        age(AlertWatch, timedelta(minutes=3))
        for _ in range(3):
            beat(look)

    assert opened("missing") == ["ticker", "worker"]
    assert [mail.to for mail in mail_server.mails if "worker" in mail.part("plain")] == [["carol@example.com"]]


def test_while_somebody_looks_or_nobody_is_to_look_it_does_not(app):
    schedule()
    look = alerting.stand_in(app)
    beat(look)
    assert db.session.query(AlertWatch).count() == 0, "somebody may be about to begin"

    alerting.watch_alerts()
    age(AlertWatch, timedelta(minutes=2))
    looked_at = db.session.get(AlertWatch, ("all", "")).looked_at
    beat(look)
    assert db.session.get(AlertWatch, ("all", ""), populate_existing=True).looked_at == looked_at

    schedule(is_enabled=False)
    age(AlertWatch, timedelta(minutes=2))
    looked_at = db.session.get(AlertWatch, ("all", "")).looked_at
    beat(look)
    assert db.session.get(AlertWatch, ("all", ""), populate_existing=True).looked_at == looked_at
