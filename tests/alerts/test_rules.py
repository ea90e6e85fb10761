"""Every rule: what raises it, what it says, and that it is over when all is well again."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, update

from mcpweb import clock, policies
from mcpweb.accounts.models import UserToken
from mcpweb.alerts.rules import RULES, amount
from mcpweb.database import db, transaction
from mcpweb.instances.models import CredentialState, Instance
from mcpweb.jobs import alerting
from mcpweb.jobs.alerting import verify_audit
from mcpweb.logs import audit, events
from mcpweb.logs.models import AuditEvent
from mcpweb.logs.writing import LogFiles
from mcpweb.web.current import log_index, settings
from tests.alerts import happening
from tests.alerts.happening import HOST, MINUTE, begin, heard, look, ran, sample, traffic
from tests.jobs.seeding import seed
from tests.logs.index_lines import encoded, parsed


def _calls(at: datetime, broken: bool) -> None:
    traffic(at, calls=1000, upstream=900 if broken else 0, ms=10000 if broken else 50)
    traffic(at, calls=1000, errors=600 if broken else 0, service="figma")


def _samples(at: datetime, broken: bool) -> None:
    sample(at, disk=93 if broken else 60, behind_mb=120 if broken else 0)
    sample(at, host="other", disk=50)


def _missing(at: datetime, broken: bool) -> None:
    heard(at, "worker", host="other", name="web-2")
    heard(at - timedelta(minutes=10) if broken else at, "worker")
    heard(at, "web")
    heard(at - timedelta(minutes=20) if broken else at, "ticker")


def _keys(at: datetime, broken: bool) -> None:
    if not db.session.query(Instance).count():
        seed(20, clock.utcnow() + timedelta(days=30))
    state = CredentialState.REJECTED if broken else CredentialState.OK
    with transaction():
        db.session.execute(update(Instance).values(credential_state=state))


def _jobs(at: datetime, broken: bool) -> None:
    ran(at, "recount", "failed" if broken else "done")
    ran(at, "a_job_of_an_older_version", "failed")


def _audit(at: datetime, broken: bool) -> None:
    ran(at, "maintain_logs", is_sound=not broken)
    ran(at, "verify_audit", is_whole=not broken)


def _mail(at: datetime, broken: bool) -> None:
    if not db.session.query(UserToken).count():
        rows = (
            UserToken(purpose="sign-in", email="x@example.com", address_key="x", role="user", next_path="",
                      requested_ip="127.0.0.1", requested_agent="", created_at=at, expires_at=at, mail_tries=3)
            for _ in range(4)
        )  # fmt: skip
        happening.add(*rows)
    if not broken:
        with transaction():
            db.session.execute(update(UserToken).values(mailed_at=at))


def _lines(at: datetime, count: int, message: str, category: str, **fields: object) -> None:
    raws = [encoded(at - MINUTE, message, category, **fields) for _ in range(count)]
    file_id = int(at.timestamp()) % 100_000 + 7
    log_index().append(file_id, at.date(), parsed(raws, at.date(), category))


def _log(at: datetime, broken: bool) -> None:
    if broken:
        _lines(at, 30, "sign-in refused", "security")
        _lines(at + timedelta(seconds=1), 30, "sign-in link refused", "security")
        _lines(at + timedelta(seconds=2), 1, "the log was not written", "app", lost_lines=7)


HAPPENINGS = (_calls, _samples, _missing, _keys, _jobs, _audit, _mail, _log)

SAID = {
    ("errors", ""): "30 % of the calls fail by our own fault",
    ("upstream", "github"): "90 % of the calls to GitHub fail there",
    ("slow", ""): "5 of 100 calls take longer than 9,500 ms",
    ("disk", HOST): "The disk of web-1 (aaaabb) is 93 % full",
    ("index", HOST): "The log index of web-1 (aaaabb) is 120 MB behind",
    ("missing", f"{HOST}/worker"): "The worker on web-1 (aaaabb): nothing was heard for 10 minutes",
    ("missing", "ticker"): "No ticker on any host: nothing was heard for 20 minutes",
    ("keys", ""): "100 % of the active instances have a key that its service refuses",
    ("jobs", "recount"): "Recount failed in its last run",
    ("audit", "verify_audit"): "The audit trail: somebody or something changed it afterwards",
    ("audit", "verify_logs"): "The closed logs of host aaaabb: somebody or something changed it afterwards",
    ("mail", ""): "4 mails could not be sent after several tries",
    ("sign-ins", ""): "120 sign-ins were refused within 10 minutes",
    ("lost", ""): "14 log lines were lost",
}
"""What an administrator reads about each subject."""


def test_every_rule_raises_when_it_is_broken_twice_and_is_over_when_all_is_well_three_times(app):
    start, told = begin(), []
    # The last of the bad minutes is out of every span when the good ones begin.
    for minute, broken in ((0, True), (1, True), (22, False), (23, False), (24, False)):
        at = start + minute * MINUTE
        for happen in HAPPENINGS:
            happen(at, broken)
        assert look(at)["not_looked_at"] == []
        told.append({(one.rule, one.subject) for one in happening.alerts() if one.closed_at is None})

    said = {(one.rule, one.subject): RULES[one.rule].sentence(one.place, one.value) for one in happening.alerts()}
    assert said == SAID
    assert told == [set(), set(SAID), set(SAID), set(SAID), set()]


def test_every_rule_has_a_question_a_case_and_a_limit_that_there_is(app):
    assert set(alerting.questions()) == set(RULES)
    assert {rule for rule, _ in SAID} == set(RULES)
    for rule in RULES.values():
        assert rule.policy == "" or policies.POLICIES[rule.policy].section == "alerts"
        assert rule.threshold(settings()) > 0


def test_few_calls_say_nothing_about_errors_or_times(app):
    at = begin()
    traffic(at, calls=19, errors=10, upstream=9, ms=10000)

    readings = [alerting.questions()[name](at)[0] for name in ("errors", "upstream", "slow")]

    assert [(one.value, one.note) for one in readings] == [(0, "Too few calls to judge")] * 3


def test_the_daily_verification_finds_an_entry_that_was_changed(app, tmp_path, monkeypatch):
    monkeypatch.setattr(events, "_files", LogFiles(tmp_path / "logs"))
    with transaction():
        db.session.execute(delete(AuditEvent))
        for number in range(3):
            audit.record("service.enable", actor="carol@example.com", subject=f"number {number}")
    found = []
    for actor in ("carol@example.com", "mallory@example.com"):
        with transaction():
            db.session.execute(update(AuditEvent).where(AuditEvent.seq == 2).values(actor=actor))
        report = verify_audit()
        ran(begin(), "verify_audit", **report)
        found.append((report["damage"], alerting.questions()["audit"](begin())[0].value))

    assert found == [("", 0), ("entry 2 was changed", 1)]


def test_amounts_read_like_a_person_would_say_them():
    said = [
        amount("%", 7.25),
        amount("%", 90),
        amount("s", 95),
        amount("s", 600),
        amount("s", 90_000),
        amount("s", 1e6),
        amount("", 1234),
        amount("MB", 50),
    ]

    assert said == ["7.2 %", "90 %", "95 seconds", "10 minutes", "25 hours", "12 days", "1,234", "50 MB"]
