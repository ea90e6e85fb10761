"""The page of alerts: what is open, saying that one knows, what is over, and every rule with its limit."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from mcpweb import clock
from mcpweb.alerts import desk
from mcpweb.alerts.models import Alert
from mcpweb.alerts.rules import RULES
from mcpweb.database import db, transaction
from mcpweb.logs.index_sqlite import SqliteIndex
from mcpweb.logs.models import AuditEvent
from mcpweb.policies import POLICIES
from tests.alerts.happening import MINUTE, alerts, begin, heard, look, sample

AT = "/admin/alerts"


@pytest.fixture(autouse=True)
def own_index(app, tmp_path, monkeypatch):
    monkeypatch.setitem(app.extensions, "mcpweb_log_index", SqliteIndex(tmp_path / "index"))


def test_an_administrator_sees_what_is_open_where_since_when_and_what_to_do_and_acknowledges_it(app, carol):
    empty = carol.get(AT)
    assert "Nothing is open" in empty.text and "Nobody looks" in empty.text
    assert '<span class="tally">' not in carol.get("/admin").text
    start = begin()
    for role in ("web", "worker", "ticker"):
        heard(start, role)
    for minute in range(2):
        sample(start + minute * MINUTE, disk=93)
        look(start + minute * MINUTE)

    page = carol.get(AT)
    assert "The disk of web-1 (aaaabb) is 93 % full" in page.text
    assert "the limit is 90 %" in page.text and "With a full disk nothing can be changed" in page.text
    assert 'href="/admin/maintenance/logs"' in page.text
    assert '<span class="tally">1<span class="hide"> open</span></span>' in page.text

    [alert] = alerts("disk")
    form = page.form(f"{AT}/{alert.id}/acknowledge")
    refused = carol.submit(form, note="x" * 301)
    assert refused.status == 422 and "A note has at most 300 characters." in refused.text
    done = carol.submit(form, note="  I order\na <disk>. ")
    assert "The alert is acknowledged" in done.text and "I order a &lt;disk&gt;." in done.text
    again = carol.submit(form, note="Me too")
    assert (again.status, "carol@example.com has acknowledged it already." in again.text) == (409, True)
    row = db.session.scalar(select(AuditEvent).where(AuditEvent.action == "alert.acknowledge"))
    assert row is not None
    assert (row.actor, row.subject) == ("carol@example.com", f"alert/{alert.id}")
    assert row.details == {"rule": "disk", "about": "aaaabbbbcccc", "note": "I order a <disk>."}
    assert (alerts("disk")[0].acknowledged_by, alerts("disk")[0].note) == ("carol@example.com", "I order a <disk>.")


def test_every_rule_is_shown_with_its_limit_its_present_value_and_what_could_not_be_seen(app, carol):
    start = begin()
    sample(start, disk=93)
    sample(start, disk=20, host="other")
    look(start)

    page = carol.get(AT).text

    for rule in RULES.values():
        assert f'<th scope="row">{rule.title}' in page
    assert page.count("Beyond the limit") == 1
    assert "93 % " in page and "host aaaabb" in page and "over below 85.5 %" in page and "built-in" not in page
    assert "Too few calls to judge" in page
    assert 'href="/admin/maintenance/policies"' in page
    assert all(policy.default is not None for policy in POLICIES.values() if policy.section == "alerts")


def test_past_alerts_are_listed_newest_first_and_older_ones_on_the_next_page(app, carol):
    now = clock.utcnow()
    with transaction():
        for number in range(desk.PAGE + 5):
            at = now - timedelta(hours=100 - number)
            db.session.add(
                Alert(
                    rule="jobs" if number else "of_an_older_version",
                    subject="recount",
                    place=f"Job {number:02}",
                    value=1.0,
                    threshold=1.0,
                    opened_at=at,
                    last_seen_at=at,
                    closed_at=at + timedelta(minutes=7),
                    told_at=at,
                )
            )

    first = carol.get(AT)
    assert first.text.count("7 minutes") == desk.PAGE
    assert "Job 29" in first.text and "Job 04" not in first.text
    older = carol.get(next(link for link in first.links if "before=" in link))
    assert older.text.count("7 minutes") == 5
    assert "Job 04" in older.text and "Alert, Job 00" in older.text and "Newest" in older.text
    for nonsense in ("x", "0", "-1", "9" * 30):
        assert carol.get(f"{AT}?before={nonsense}").status == 200


def test_acknowledging_what_is_over_or_not_there_is_refused(app, carol):
    start = begin()
    for minute in range(5):
        look(start + minute * MINUTE, errors=100 if minute < 2 else 0)
    form = carol.get(AT).form(f"{AT}/test")
    token = {"csrf_token": dict(form.fields)["csrf_token"]}

    over = carol.post(f"{AT}/{alerts()[0].id}/acknowledge", token)

    assert (over.status, "It is over already." in over.text) == (409, True)
    assert carol.post(f"{AT}/987654/acknowledge", token).status == 404
    assert alerts()[0].acknowledged_at is None
