"""Where reminders lead: a page that changes nothing by itself and makes sense whenever it is opened."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mcpweb import clock
from mcpweb.database import db, transaction
from mcpweb.instances import lifecycle
from mcpweb.instances.models import Instance, Status
from tests.conftest import URL
from tests.form_client import FormClient, InProcess
from tests.instances.living import actions, drift, end, stored
from tests.instances.test_lifecycle import in_days

ALICE = "alice@example.com"


def set_end(instance_id, days: float) -> None:
    with transaction():
        row = db.session.get(Instance, instance_id)
        assert row
        row.expires_at = clock.utcnow() + timedelta(days=days)


def lasts(instance_id, days: float) -> bool:
    return abs(stored(instance_id).expires_at - in_days(days)) < timedelta(minutes=1)


@pytest.mark.parametrize("status", [Status.ACTIVE, Status.INACTIVE])
def test_one_button_extends_by_thirty_days(status, alice, make_instance):
    instance, _ = make_instance(label="Work")
    if status == Status.INACTIVE:
        lifecycle.deactivate(instance, ALICE)
    set_end(instance.id, 0.5)
    page = alice.get(f"/instances/{instance.id}/extend")
    assert "Extend Work" in page.text
    assert ("switched off" in page.text) == (status == Status.INACTIVE)
    done = actions(instance.id)

    page = alice.submit(page.form("/extend"))

    assert "Work now works until" in page.text
    assert lasts(instance.id, 30)
    assert stored(instance.id).status == status
    assert actions(instance.id) == [*done, "instance.extend"]


@pytest.mark.parametrize("marked", [True, False], ids=["marked as expired", "the sweep is late"])
def test_when_it_has_ended_meanwhile_the_button_renews(marked, alice, make_instance):
    instance, _ = make_instance(label="Work")
    end(instance.id, marked=marked)
    page = alice.get(f"/instances/{instance.id}/extend")
    assert "Renew Work" in page.text

    page = alice.submit(page.form("/renew"))

    assert "Work is renewed until" in page.text
    assert lasts(instance.id, 30)
    assert stored(instance.id).status == Status.ACTIVE
    assert drift() == {}


@pytest.mark.parametrize(("left", "offered"), [(0.1, 30), (29, 30), (30, 90), (80, 90)])
def test_what_is_offered_is_always_longer_than_what_is_left(left, offered, alice, make_instance):
    instance, _ = make_instance()
    set_end(instance.id, left)
    page = alice.get(f"/instances/{instance.id}/extend")

    alice.submit(page.form("/extend"))

    assert lasts(instance.id, offered)


def test_far_from_its_end_there_is_nothing_to_do(alice, make_instance):
    instance, _ = make_instance()
    set_end(instance.id, 200)

    page = alice.get(f"/instances/{instance.id}/extend")

    assert page.status == 200
    assert "There is nothing to do" in page.text
    assert not [form for form in page.forms if "/instances/" in form.action]


def test_a_short_maximum_of_the_operators_is_kept(other_app, make_instance, alice):
    instance, _ = make_instance(days=1)
    short = FormClient(InProcess(other_app(instance_days_max=10)), URL)
    short.transport.client._cookies = dict(alice.transport.client._cookies)
    page = short.get(f"/instances/{instance.id}/extend")

    short.submit(page.form("/extend"))

    assert lasts(instance.id, 7)


def test_looking_at_it_changes_nothing(alice, make_instance):
    instance, _ = make_instance()
    set_end(instance.id, 0.5)
    before = stored(instance.id).expires_at

    for _ in range(3):
        alice.get(f"/instances/{instance.id}/extend")
        alice.open("HEAD", f"/instances/{instance.id}/extend")

    assert stored(instance.id).expires_at == before
    assert actions(instance.id) == []


def test_who_must_sign_in_first_is_led_there_afterwards(make_instance, new_browser, mailed):
    instance, _ = make_instance()
    browser = new_browser()
    page = browser.get(f"/instances/{instance.id}/extend")
    assert page.path == "/sign-in"
    assert dict(page.form("/sign-in").fields)["next"] == f"/instances/{instance.id}/extend"

    mail = mailed(browser, next_path=f"/instances/{instance.id}/extend")
    page = browser.submit(browser.get(mail.link).form(mail.link))

    assert page.path == f"/instances/{instance.id}/extend"


def test_for_somebody_else_there_is_no_such_page(bob, make_instance):
    instance, _ = make_instance()

    assert bob.get(f"/instances/{instance.id}/extend").status == 404
