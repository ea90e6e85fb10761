"""Instances whose end has come: marked once, counted right, and told in the audit trail."""

from __future__ import annotations

from contextvars import Context
from datetime import timedelta

import pytest

from mcpweb import clock, queue
from mcpweb.database import db, transaction
from mcpweb.instances.models import Instance, ServiceRow, Status
from mcpweb.jobs import expiry
from mcpweb.jobs.expiry import expire_instances
from mcpweb.logs.models import AuditEvent
from tests.parallel import at_once


def end_all(*, ago: timedelta = timedelta(seconds=1)) -> None:
    with transaction():
        db.session.query(Instance).update({"expires_at": clock.utcnow() - ago})


def counters(name: str = "github") -> tuple[int, int]:
    db.session.rollback()
    row = db.session.get(ServiceRow, name, populate_existing=True)
    assert row
    return row.total_instances, row.active_instances


def expiries() -> list[str]:
    db.session.rollback()
    return [event.subject for event in db.session.query(AuditEvent).filter_by(action="instance.expire")]


def test_a_due_instance_is_marked_and_counted_down_and_audited(make_instance):
    instance, _ = make_instance()
    other, _ = make_instance("bob@example.com")
    with transaction():
        row = db.session.get(Instance, instance.id)
        assert row
        row.expires_at = clock.utcnow() - timedelta(milliseconds=1)

    expire_instances()

    db.session.expire_all()
    statuses = {row.id: row.status for row in db.session.query(Instance)}
    assert statuses == {instance.id: Status.EXPIRED, other.id: Status.ACTIVE}
    assert counters() == (2, 1)
    assert expiries() == [f"instance/{instance.id}"]


def test_running_again_does_nothing(make_instance):
    make_instance()
    end_all()

    for _ in range(3):
        expire_instances()

    assert counters() == (1, 0)
    assert len(expiries()) == 1


def test_an_instance_that_was_switched_off_is_not_counted_down_twice(make_instance):
    make_instance()
    with transaction():
        db.session.query(Instance).update({"status": Status.INACTIVE})
        db.session.query(ServiceRow).update({"active_instances": 0})
    end_all()

    expire_instances()

    assert counters() == (1, 0)
    assert db.session.query(Instance.status).scalar() == Status.EXPIRED


def test_each_service_is_counted_by_itself(make_instance):
    for service in ("github", "github", "figma"):
        make_instance(service=service)
    end_all()

    expire_instances()

    assert (counters("github"), counters("figma")) == ((2, 0), (1, 0))


def test_more_than_a_batch_is_done_in_one_run(make_instance, monkeypatch):
    monkeypatch.setattr(expiry, "_BATCH", 3)
    for _ in range(7):
        make_instance()
    end_all()

    expire_instances()

    assert counters() == (7, 0)
    assert len(expiries()) == len(set(expiries())) == 7


def test_four_who_run_at_once_expire_each_instance_exactly_once(app, make_instance, monkeypatch):
    monkeypatch.setattr(expiry, "_BATCH", 4)
    for number in range(20):
        make_instance(service="github" if number % 2 else "figma")
    end_all()

    def run() -> None:
        with app.app_context():
            expire_instances()

    at_once([lambda: Context().run(run) for _ in range(4)])

    assert len(expiries()) == len(set(expiries())) == 20
    assert (counters("github"), counters("figma")) == ((10, 0), (10, 0))


def test_connecting_and_expiring_at_once_do_not_stand_in_each_others_way(app, make_instance):
    for number in range(10):
        make_instance(service="github" if number % 2 else "figma")
    end_all()

    def expire() -> None:
        with app.app_context():
            expire_instances()

    def connect(service: str) -> None:
        with app.app_context():
            make_instance(service=service)

    at_once(
        [lambda: Context().run(expire)] * 3
        + [lambda service=service: Context().run(connect, service) for service in ["figma", "github"] * 3]
    )

    assert (counters("github"), counters("figma")) == ((8, 3), (8, 3))
    assert len(expiries()) == 10


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_clock_that_is_set_back_brings_nothing_to_life(make_instance, monkeypatch):
    make_instance()
    end_all()
    expire_instances()

    earlier = clock.utcnow() - timedelta(hours=1)
    monkeypatch.setattr(clock, "utcnow", lambda: earlier)
    expire_instances()

    assert db.session.query(Instance.status).scalar() == Status.EXPIRED
    assert counters() == (1, 0)


def test_it_runs_as_a_job_from_the_queue(make_instance, run_jobs):
    make_instance()
    end_all()

    queue.enqueue("expire_instances")
    run_jobs()

    assert counters() == (1, 0)
