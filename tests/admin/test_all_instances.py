"""All instances as administrators see them, and switching one off with a reason that its owner reads."""

from __future__ import annotations

import re

import pytest

from mcpweb.clock import utcnow
from mcpweb.database import db, transaction
from mcpweb.instances.models import CredentialState, Instance, ServiceRow, Status
from tests.conftest import URL, links_in
from tests.form_client import Page
from tests.instances import endpoint, living

ALICE, BOB, CAROL = (f"{name}@example.com" for name in ("alice", "bob", "carol"))
REASON = "It called 40,000 times <last night>."


def listed(page: Page) -> list[str]:
    return re.findall(r'class="row-link" href="/admin/instances/[0-9a-f-]+">([^<]+)<', page.text)


def stop(carol, instance, reason=REASON):
    page = carol.get(f"/admin/instances/{instance.id}")
    return carol.submit(page.form("/stop"), reason=reason)


@pytest.fixture
def stopped(carol, alice, make_instance):
    """Alice's instance and its token, after Carol switched it off."""
    instance, token = make_instance()
    stop(carol, instance)
    return instance, token


def test_everybodys_instances_are_listed_with_their_owners_and_found(carol, alice, bob, make_instance):
    make_instance(label="Work")
    make_instance(BOB, "figma", "Drawings")
    ended, _ = make_instance(BOB, label="Last month")
    living.end(ended.id, marked=False)

    assert sorted(listed(page := carol.get("/admin/instances"))) == ["Drawings", "Last month", "Work"]
    assert ALICE in page.text and BOB in page.text
    assert listed(carol.get("/admin/instances?q=alice")) == ["Work"]
    assert listed(carol.get("/admin/instances?q=draw")) == ["Drawings"]
    assert listed(carol.get("/admin/instances?service=figma")) == ["Drawings"]
    assert listed(carol.get("/admin/instances?state=expired")) == ["Last month"]
    assert sorted(listed(carol.get("/admin/instances?state=active"))) == ["Drawings", "Work"]
    assert "2 instances found." in carol.get("/admin/instances?state=active").text and "3 instances." in page.text
    assert "1 instance found." in carol.get("/admin/instances?q=alice&service=github").text
    with transaction():
        work = db.session.query(Instance).filter_by(label="Work").one()
        work.credential_state, work.owner.is_enabled = CredentialState.REJECTED, False
    page = carol.get("/admin/instances?state=refused")
    assert listed(page) == ["Work"] and "Owner disabled" in page.text
    assert carol.get("/admin/instances?q=%00&service=%00&state=x&page=x").status == 200


def test_a_stopped_instance_refuses_the_next_call_and_its_owner_reads_why(app, carol, alice, make_instance):
    instance, token = make_instance()
    assert endpoint.works_from_memory(app, instance.id, token)

    page = stop(carol, instance)

    assert page.path == f"/admin/instances/{instance.id}"
    assert "switched off" in living.refusal(app, instance.id, token)
    mine = alice.get(f"/instances/{instance.id}")
    assert "It called 40,000 times &lt;last night&gt;." in mine.text
    assert not [form for form in mine.forms if form.action.endswith("/activate")]
    assert listed(carol.get("/admin/instances?state=stopped")) == ["Work"]
    event = living.audited(instance.id)[-1]
    assert (event.action, event.actor, event.details) == ("instance.stop", CAROL, {"reason": REASON})
    assert living.drift() == {}


def test_without_a_reason_nothing_is_stopped(app, carol, alice, make_instance):
    instance, token = make_instance()

    assert stop(carol, instance, "  ").status == 422
    assert stop(carol, instance, "x" * 301).status == 422

    assert endpoint.works(app, instance.id, token)


def test_its_owner_can_neither_switch_it_on_nor_renew_it(app, alice, stopped):
    instance, token = stopped
    data = {"csrf_token": dict(alice.get("/help").form("/theme").fields)["csrf_token"]}

    page = alice.post(f"/instances/{instance.id}/activate", data)
    assert page.status == 409 and "An administrator switched Work off" in page.text

    living.end(instance.id, marked=True)
    page = alice.post(f"/instances/{instance.id}/renew", {**data, "lifetime": "30"})
    assert page.status == 409
    row = living.stored(instance.id)
    assert row and row.status_at(utcnow()) is Status.EXPIRED
    assert not endpoint.works(app, instance.id, token)


def test_after_the_stop_is_lifted_its_owner_switches_it_on(app, carol, alice, stopped):
    instance, token = stopped
    page = carol.get(f"/admin/instances/{instance.id}")

    carol.submit(page.form("/lift"))

    assert not endpoint.works(app, instance.id, token)
    page = alice.get(f"/instances/{instance.id}")
    assert "last night" not in page.text
    alice.submit(page.form("/activate"))
    assert endpoint.works(app, instance.id, token)
    assert living.actions(instance.id) == ["instance.stop", "instance.lift", "instance.activate"]
    assert living.drift() == {}


def test_its_owner_is_mailed_the_reason_once(carol, alice, stopped, run_jobs, mail_server):
    instance, _ = stopped
    run_jobs()
    stop(carol, instance, "Please ask us first.")
    run_jobs()

    [mail] = mail_server.mails
    assert mail.to == [ALICE] and mail.subject == "An administrator switched Work off"
    assert f"Reason: {REASON}" in mail.part("plain") and "&lt;last night&gt;" in mail.part("html")
    assert f"{URL}/instances/{instance.id}" in links_in(mail.part("plain"))


def test_a_stop_can_be_given_another_reason_and_counts_once(carol, alice, stopped):
    instance, _ = stopped

    stop(carol, instance, "Please ask us first.")

    assert "Please ask us first." in alice.get(f"/instances/{instance.id}").text
    row = db.session.get(ServiceRow, "github", populate_existing=True)
    assert row and row.active_instances == 0
