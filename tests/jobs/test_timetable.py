"""The rows of the schedule: there from the beginning, and what an administrator changed stays."""

from __future__ import annotations

from datetime import UTC, datetime

from mcpweb.database import db, transaction
from mcpweb.jobs import timetable
from mcpweb.jobs.models import Schedule
from mcpweb.jobs.schedule import PLANS, When

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def insert_missing() -> list[str]:
    with transaction():
        return list(timetable.insert_missing(db.session.connection(), NOON))


def rows() -> dict[str, Schedule]:
    db.session.rollback()
    return {row.job: row for row in db.session.query(Schedule).execution_options(populate_existing=True)}


def test_a_new_installation_gets_a_row_for_every_job_and_has_done_the_day(app):
    assert set(insert_missing()) == set(PLANS)

    found = rows()
    assert {job: When(row.every_s, row.at_time, row.timezone) for job, row in found.items()} == {
        job: plan.when for job, plan in PLANS.items()
    }
    assert found["recount"].last_slot == NOON.date().toordinal()
    assert found["expire_instances"].last_slot is None
    assert all(row.is_enabled for row in found.values())


def test_what_an_administrator_changed_stays_and_what_is_missing_comes(app):
    insert_missing()
    with transaction():
        row = db.session.get(Schedule, "clean_up")
        assert row
        row.every_s, row.is_enabled, row.changed_by = 7200, False, "carol@example.com"
        db.session.delete(db.session.get(Schedule, "recount"))

    assert insert_missing() == ["recount"]
    assert insert_missing() == []

    row = rows()["clean_up"]
    assert (row.every_s, row.is_enabled, row.changed_by) == (7200, False, "carol@example.com")


def test_what_is_read_are_the_jobs_that_are_switched_on_and_known(app):
    insert_missing()
    with transaction():
        row = db.session.get(Schedule, "clean_up")
        assert row
        row.is_enabled = False
        db.session.add(Schedule(job="of_a_later_version", every_s=5))

    read = timetable.read(db.session.connection())

    assert {entry.job for entry in read} == set(PLANS) - {"clean_up"}


def test_the_remembered_day_only_grows(app):
    insert_missing()
    for slot in (740000, 740002, 740001):
        with transaction():
            timetable.remember(db.session.connection(), "recount", slot)

    assert rows()["recount"].last_slot == 740002
