"""Maintenance mode: everybody is told at once, administrators go on, and it always ends."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mcpweb import clock, closure
from mcpweb.admin import maintenance_mode
from mcpweb.database import db
from mcpweb.errors import InvalidInput
from mcpweb.logs.models import AuditEvent
from mcpweb.web import static_files
from tests.form_client import FormClient, Page
from tests.instances import endpoint

AT = "/admin/maintenance/mode"


def switch_on(person: FormClient, **values: str) -> Page:
    return person.submit(person.get(AT).form("/on"), **values)


def audited() -> list[AuditEvent]:
    db.session.rollback()
    return list(db.session.query(AuditEvent).filter(AuditEvent.action.like("maintenance.%")).order_by(AuditEvent.seq))


def refused(app, instance, token) -> str:
    """What a call is told that is not let through."""
    status, answer = endpoint.call(app, instance.id, token)
    assert status == 200 and answer["result"]["isError"], answer
    return str(answer["result"]["content"][0]["text"])


def test_the_very_next_page_and_call_are_turned_away_and_administrators_go_on(
    app, alice, carol, new_browser, make_instance
):
    instance, token = make_instance()
    assert endpoint.works_from_memory(app, instance.id, token)

    page = switch_on(carol, message="We are moving to a new disk.")

    assert "Maintenance mode is on" in page.text and "<dd>carol@example.com</dd>" in page.text
    said = refused(app, instance, token)
    assert (
        "closed for maintenance until" in said and "We are moving to a new disk." in said and "same call again" in said
    )
    page = alice.get("/instances")
    assert page.status == 503 and 3500 < int(page.headers["Retry-After"]) <= 3600
    assert "We are moving to a new disk." in page.text and "Sign in as" not in page.text
    assert alice.open("POST", f"/instances/{instance.id}/deactivate", {"csrf_token": _token(alice)}).status == 503
    stranger = new_browser()
    assert stranger.get("/instances").status == stranger.get("/").status == 503
    assert "Sign in as an administrator" in stranger.get("/instances").text
    for path in ("/sign-in", "/help", "/healthz", f"{static_files.address()}/css/base.css", "/readyz"):
        assert stranger.get(path).status == 200, path
    page = carol.get("/instances")
    assert page.status == 200 and "everybody else is turned away" in page.text

    page = carol.submit(carol.get(AT).form("/off"))

    assert "Maintenance mode is off" in page.text
    assert endpoint.works(app, instance.id, token) and alice.get("/instances").status == 200
    on, off = audited()
    assert (on.action, on.actor, off.action) == ("maintenance.on", "carol@example.com", "maintenance.off")
    assert on.details["said"] == "We are moving to a new disk."


def test_it_ends_by_itself_also_for_who_was_turned_away_a_moment_ago(app, alice, carol, make_instance, monkeypatch):
    instance, token = make_instance()
    switch_on(carol)
    refused(app, instance, token)
    end = clock.utcnow() + closure.USUAL
    monkeypatch.setattr(clock, "utcnow", lambda: end + timedelta(seconds=1))

    assert endpoint.works(app, instance.id, token)
    assert alice.get("/instances").status == 200
    assert "Last on until" in carol.get(AT).text


def test_what_nobody_could_read_or_would_last_for_ever_is_refused_at_its_field(carol):
    far = f"{clock.utcnow() + closure.LONGEST + timedelta(hours=1):%Y-%m-%dT%H:%M}"
    for values, said in (
        ({"message": " "}, "Say what is going on"),
        ({"message": "x" * 301}, "at most 300 characters"),
        ({"message": "a\u200bb"}, "can not be shown"),
        ({"ends_at": "2026-01-01T00:00"}, "Give a time after now"),
        ({"ends_at": far}, "Give a time after now"),
        ({"ends_at": "soon"}, "Give a time after now"),
        ({"ends_at": ""}, "Give a time after now"),
    ):
        page = switch_on(carol, **values)
        assert page.status == 422 and said in page.text, values
    with pytest.raises(InvalidInput):
        maintenance_mode.switch_on("For ever", clock.utcnow() + timedelta(days=8), "carol@example.com")
    assert audited() == [] and closure.last() is None


def _token(person: FormClient) -> str:
    return dict(person.get("/help").form("/theme").fields)["csrf_token"]
