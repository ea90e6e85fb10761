"""Owners are reminded a week and a day before the end: once each, of what still ends then, several in one mail."""

from __future__ import annotations

from contextvars import Context
from datetime import timedelta
from uuid import UUID

import pytest

from mcpweb import clock
from mcpweb.database import db, transaction
from mcpweb.instances import lifecycle
from mcpweb.instances.models import Instance, Notice, Status
from mcpweb.instances.notices import send_notices
from mcpweb.jobs import reminding
from mcpweb.jobs.reminding import remind_owners
from tests.ageing import age
from tests.conftest import URL, links_in
from tests.instances.living import end, stored
from tests.parallel import at_once

ALICE = "alice@example.com"
LONGEST = timedelta(days=365)


def pass_time(days: float) -> None:
    age(Instance, timedelta(days=days))


def set_end(instance_id: UUID, days: float) -> None:
    """Let it end in so many days, as time that has passed would."""
    with transaction():
        row = db.session.get(Instance, instance_id)
        assert row
        row.expires_at = clock.utcnow() + timedelta(days=days)


def noted() -> list[str]:
    db.session.rollback()
    return [notice.kind for notice in db.session.query(Notice).order_by(Notice.id)]


def remind() -> None:
    remind_owners()
    send_notices()


def test_in_a_life_of_thirty_days_there_are_two_reminders_and_then_the_end(make_instance, mail_server):
    make_instance(label="Work", days=30)
    told = []
    for _ in range(31 * 4):
        remind()
        told.append(len(mail_server.mails))
        pass_time(0.25)

    assert [mail.subject for mail in mail_server.mails] == ["Work ends in a week", "Work ends within a day"]
    assert [told.index(number) for number in (1, 2)] == [23 * 4, 29 * 4]


def test_the_mail_leads_to_the_page_that_extends(make_instance, mail_server):
    instance, _ = make_instance()
    set_end(instance.id, 6.5)

    remind()

    [mail] = mail_server.mails
    assert f"{URL}/instances/{instance.id}/extend" in links_in(mail.part("plain"))


@pytest.mark.parametrize(("days", "expected"), [(1, []), (2, ["ends_1"]), (7, ["ends_1"]), (8, ["ends_7", "ends_1"])])
def test_who_gave_it_a_few_days_is_not_told_that_they_are_few(days, expected, make_instance):
    make_instance(days=days)
    for _ in range(days * 2):
        remind()
        pass_time(0.5)

    assert noted() == expected


@pytest.mark.parametrize("status", [Status.INACTIVE, Status.EXPIRED])
def test_what_is_switched_off_is_reminded_of_and_what_has_ended_is_not(status, make_instance):
    instance, _ = make_instance()
    lifecycle.deactivate(instance, ALICE)
    set_end(instance.id, 0.5)
    if status == Status.EXPIRED:
        end(instance.id, marked=False)

    remind_owners()

    assert noted() == (["ends_1"] if status == Status.INACTIVE else [])


def test_what_ends_soon_after_comes_in_the_same_mail(make_instance, mail_server):
    for days in (6.9, 7.4, 7.9):
        set_end(make_instance()[0].id, days)
    set_end(make_instance(owner="bob@example.com")[0].id, 7.4)

    for _ in range(5):
        remind()
        pass_time(0.1)

    assert [mail.to for mail in mail_server.mails] == [[ALICE], ["bob@example.com"]]
    assert mail_server.mails[0].subject == "3 of your instances need a look"


@pytest.mark.parametrize("new", ["extended", "renewed"])
def test_a_new_end_is_reminded_of_anew(new, make_instance, mail_server):
    instance, _ = make_instance()
    set_end(instance.id, 0.5)
    remind()
    if new == "extended":
        lifecycle.extend(stored(instance.id), clock.utcnow() + timedelta(days=30), LONGEST, ALICE)
    else:
        end(instance.id, marked=True)
        lifecycle.renew(stored(instance.id), clock.utcnow() + timedelta(days=30), LONGEST, ALICE)

    remind()
    assert len(mail_server.mails) == 1
    set_end(instance.id, 6)
    remind()
    assert len(mail_server.mails) == 2


def test_an_extension_that_comes_before_the_mail_makes_it_needless(make_instance, mail_server):
    instance, _ = make_instance()
    set_end(instance.id, 6)
    remind_owners()

    lifecycle.extend(stored(instance.id), clock.utcnow() + timedelta(days=30), LONGEST, ALICE)
    send_notices()

    assert mail_server.mails == []


def test_four_who_run_at_once_remind_of_each_once(app, make_instance, monkeypatch):
    monkeypatch.setattr(reminding, "_BATCH", 3)
    for number in range(12):
        set_end(make_instance(owner=f"owner{number % 3}@example.com")[0].id, 0.5)

    def run() -> None:
        with app.app_context():
            remind_owners()

    at_once([lambda: Context().run(run) for _ in range(4)])
    remind_owners()  # what was in somebody else's hands

    assert noted() == ["ends_1"] * 12
    assert len(set(db.session.scalars(db.select(Notice.instance_id)))) == 12
