"""The daily recount puts right what drifted, says so, and is right while others change instances."""

from __future__ import annotations

from contextvars import Context
from datetime import timedelta

from mcpweb import clock
from mcpweb.database import db, transaction
from mcpweb.errors import AppError
from mcpweb.instances import lifecycle
from mcpweb.instances.models import Instance, ServiceRow
from mcpweb.jobs.counting import recount
from mcpweb.jobs.expiry import expire_instances
from mcpweb.logs.models import AuditEvent
from tests.instances.living import drift
from tests.parallel import at_once

ALICE = "alice@example.com"


def recounts() -> list[dict]:
    db.session.rollback()
    return [event.details for event in db.session.query(AuditEvent).filter_by(action="service.recount")]


def test_what_is_right_is_left_alone_and_not_audited(make_instance):
    make_instance()

    assert recount()["drift"] == {}

    assert recounts() == []


def test_what_drifted_is_put_right_reported_and_audited_once(make_instance):
    for service in ("github", "github", "figma"):
        instance, _ = make_instance(service=service)
    lifecycle.deactivate(instance, ALICE)
    with transaction():
        db.session.get(ServiceRow, "github").total_instances = 7
        db.session.get(ServiceRow, "figma").active_instances = -1

    found = recount()["drift"]

    assert found == {
        "figma": {"total": [1, 1], "active": [-1, 0]},
        "github": {"total": [7, 2], "active": [2, 2]},
    }
    assert drift() == {}
    assert recounts() == [found]
    assert recount()["drift"] == {}


def test_it_is_right_while_others_connect_switch_end_and_delete(app, make_instance):
    ids = [make_instance(service=service)[0].id for service in ("github", "figma") * 3]

    def change(number: int) -> None:
        with app.app_context():
            for turn in range(8):
                row = db.session.get(Instance, ids[(number + turn) % len(ids)])
                try:
                    if row:
                        (lifecycle.deactivate, lifecycle.activate)[turn % 2](row, ALICE)
                except AppError:
                    db.session.rollback()
            make_instance(service=("github", "figma")[number % 2])

    def count() -> list[object]:
        with app.app_context():
            return [recount()["drift"] for _ in range(12)]

    def expire() -> None:
        with app.app_context():
            with transaction():
                db.session.execute(
                    db.update(Instance)
                    .where(Instance.id == ids[0])
                    .values(expires_at=clock.utcnow() - timedelta(seconds=1))
                )
            expire_instances()

    at_once(
        [lambda number=number: Context().run(change, number) for number in range(4)]
        + [lambda: Context().run(count), lambda: Context().run(count), lambda: Context().run(expire)]
    )

    assert drift() == {}
    assert recounts() == [], "nothing had drifted, so nothing was found"
