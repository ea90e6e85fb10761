"""What administrators decide on a page: what it would do, who decided it, and that it holds at once."""

from __future__ import annotations

import gzip
from datetime import timedelta

import pytest

from mcpweb import clock
from mcpweb.database import db, transaction
from mcpweb.logs import events
from mcpweb.logs.models import AuditEvent
from mcpweb.logs.retention import Policy
from mcpweb.logs.writing import MB
from mcpweb.policies import PolicyRow
from mcpweb.web.current import settings as current_settings
from tests.form_client import FormClient, Page

AT = "/admin/maintenance/policies"


def send(person: FormClient, section: str, button: str = "save", **values: str) -> Page:
    return person.submit(person.get(f"{AT}/{section}").form(f"{AT}/{section}"), button, **values)


def audited() -> list[AuditEvent]:
    db.session.rollback()
    return list(db.session.query(AuditEvent).filter(AuditEvent.action.like("policy.%")).order_by(AuditEvent.seq))


def day_file(category: str, days_ago: int, size: int) -> str:
    """A closed day of a system log, that many bytes on the disk."""
    day = (clock.utcnow() - timedelta(days=days_ago)).date()
    folder = events.files().root / "system"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{category}-{day}.jsonl.gz").write_bytes(gzip.compress(b"").ljust(size, b"\0"))
    return str(day)


@pytest.fixture
def old_days(app):
    """Two days of the performance log and one of the audit log, which are gone after the test."""
    for path in events.files().root.rglob("*.jsonl*"):
        if str(clock.utcnow().date()) not in path.name:
            path.unlink()  # what other tests have left
    made = {
        "old": day_file("performance", 20, 300_000),
        "older": day_file("performance", 25, 400_000),
        "audit": day_file("audit", 25, 200_000),
    }
    yield made
    for path in (events.files().root / "system").glob("*.gz"):
        path.unlink()


def test_shorter_retention_says_which_days_would_go_before_it_is_saved_and_then_holds_at_once(carol, old_days):
    page = carol.get(AT)
    assert "30 days" in page.text and "MCPWEB_LOG_DAYS" in page.text and "Never" in page.text
    assert "5 % of the calls<" in page.text and "5,000 ms<" in page.text and "1 line<" in page.text

    page = send(carol, "logs", "preview", log_days="22")

    assert "would delete 1 file, 0.4 MB" in page.text and "As it is now, it would delete nothing" in page.text
    assert old_days["older"] in page.text and old_days["old"] not in page.text
    assert "Nothing is saved yet" in page.text and audited() == []
    assert dict(page.form(f"{AT}/logs").fields)["log_days"] == "22", "what was typed is still there"
    assert Policy.of(current_settings()).days == 30

    page = send(carol, "logs", log_days="22")

    assert "The new values hold from now on" in page.text and "22 days" in page.text
    assert "by carol@example.com" in page.text
    assert Policy.of(current_settings()).days == 22
    [event] = audited()
    assert (event.actor, event.subject) == ("carol@example.com", "policy/log_days")
    assert event.details == {"before": 30, "after": 22}
    said = send(carol, "logs", "preview", log_days="22", log_days_audit="21").text
    assert "would delete 2 files" in said and "As it is now, it would delete 1 file, 0.4 MB" in said

    page = carol.submit(page.form("/log_days/restore"))

    assert "the default holds again" in page.text and "by carol@example.com" not in page.text
    assert Policy.of(current_settings()).days == 30
    assert [event.action for event in audited()] == ["policy.change", "policy.restore"]


def test_a_smaller_budget_takes_the_oldest_days_first_and_the_audit_log_last(carol, old_days):
    newer = day_file("performance", 24, 1_500_000)
    taken = sum(path.stat().st_size for path in events.files().root.rglob("*.jsonl*"))
    enough, half_a_megabyte_less = taken // MB + 1, (taken - MB // 2) // MB

    assert "would delete nothing" in send(carol, "logs", "preview", log_disk_mb=str(enough)).text
    page = send(carol, "logs", "preview", log_disk_mb=str(half_a_megabyte_less))

    assert f'>{old_days["older"]}</span> to <span class="going__day">{newer}<' in page.text
    assert "would delete 2 files, 1.9 MB" in page.text and "<dt>Audit</dt>" not in page.text


def test_the_instance_maximum_says_who_keeps_a_longer_end_and_binds_the_next_form(carol, alice, make_instance):
    make_instance(days=30)
    page = send(carol, "instances", "preview", instance_days_max="7")
    assert "1 instance ends later and keeps its end" in page.text

    send(carol, "instances", instance_days_max="7")

    page = alice.get("/services/github/connect")
    assert "At most 7 days" in page.text
    page = alice.submit(page.form("/connect"), label="Long", lifetime="30")
    assert page.status == 422, "a form of yesterday asks for more"


def test_a_number_out_of_bounds_is_refused_at_its_field(carol):
    for number in ("0", "3651", "-1", "soon", "", "9" * 50, "1.5"):
        page = send(carol, "logs", log_days=number)

        assert page.status == 422 and "Give a whole number from 1 to 3,650." in page.text, number
    assert audited() == []


def test_saving_what_holds_already_is_no_change_and_unknown_names_are_not_there(carol):
    assert "Nothing was changed" in send(carol, "logs").text
    assert audited() == [] and db.session.query(PolicyRow).count() == 0
    assert carol.get(f"{AT}/nothing").status == 404
    assert carol.open("POST", f"{AT}/nothing/restore", {"csrf_token": token(carol)}).status == 404


def test_a_row_that_can_not_be_read_is_shown_as_such_and_the_default_holds(carol):
    with transaction():
        db.session.add(PolicyRow(name="log_days", value="soon", changed_at=clock.utcnow(), changed_by="x@example.com"))

    page = carol.get(AT)

    assert "Not readable" in page.text and "The default holds" in page.text
    assert Policy.of(current_settings()).days == 30


def token(person: FormClient) -> str:
    return dict(person.get("/help").form("/theme").fields)["csrf_token"]
