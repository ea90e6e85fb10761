"""The audit trail: one chain, whoever writes, and nothing of what was rolled back."""

from __future__ import annotations

import hashlib
import hmac
import json
from contextvars import Context
from datetime import UTC

import pytest
from flask import Flask

from mcpweb import clock
from mcpweb.crypto import derive
from mcpweb.database import db, transaction
from mcpweb.logs import audit
from mcpweb.logs.models import AuditEvent
from mcpweb.web.current import settings as current_settings
from tests.parallel import at_once


def record(n: int) -> None:
    with transaction():
        audit.record("thing.do", actor="alice@example.com", subject=f"thing/{n}", number=n)


def chain_is_whole(key: str) -> bool:
    """Whether each digest follows from the one before and from its row, recomputed here from the description."""
    before = b""
    for number, row in enumerate(db.session.query(AuditEvent).order_by(AuditEvent.seq), start=1):
        at = row.at.astimezone(UTC).isoformat()
        body = json.dumps(
            [row.seq, at, row.action, row.actor, row.subject, row.ip, row.details],
            sort_keys=True,
            separators=(",", ":"),
        )
        if row.seq != number or row.digest != hmac.digest(key.encode(), before + body.encode(), hashlib.sha256):
            return False
        before = row.digest
    return True


@pytest.fixture
def key(app: Flask) -> str:
    """The chain's key, which is not in the database."""
    return derive(current_settings().secret_key, "audit chain")


def test_rows_form_one_chain(key):
    for number in range(5):
        record(number)

    assert chain_is_whole(key)


def test_writers_at_once_make_one_chain_without_a_gap(app, key):
    before = db.session.query(AuditEvent).count()

    def write(n: int) -> None:
        with app.app_context():
            record(n)

    at_once([lambda n=n: Context().run(write, n) for n in range(12)])

    db.session.rollback()  # ends the snapshot of before
    assert db.session.query(AuditEvent).count() == before + 12
    assert chain_is_whole(key)


@pytest.mark.parametrize(
    "change",
    [
        {"actor": "mallory@example.com"},
        {"subject": "thing/9"},
        {"action": "thing.undo"},
        {"details": {"number": 7}},
        {"ip": "198.51.100.1"},
        {"digest": b"\0" * 32},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_row_breaks_the_chain(change, key):
    for number in range(3):
        record(number)
    assert chain_is_whole(key)

    with transaction():
        last = db.session.query(AuditEvent).order_by(AuditEvent.seq.desc()).offset(1).first()
        assert last
        for name, value in change.items():
            setattr(last, name, value)

    assert not chain_is_whole(key)


def test_without_the_key_nobody_makes_the_digests_fit(key):
    record(1)

    assert not chain_is_whole("another key")


def test_what_is_rolled_back_leaves_neither_a_row_nor_a_line(app, settings, key):
    log = settings.home / "logs" / "system"
    before = b"".join(path.read_bytes() for path in log.glob("audit-*"))
    rows = db.session.query(AuditEvent).count()

    with pytest.raises(ZeroDivisionError), transaction():
        audit.record("thing.do", actor="alice@example.com", subject="thing/never")
        raise ZeroDivisionError

    assert db.session.query(AuditEvent).count() == rows
    assert b"".join(path.read_bytes() for path in log.glob("audit-*")) == before
    record(2)
    assert chain_is_whole(key)


def test_what_is_recorded_also_stands_in_the_audit_log(app, settings):
    record(77)

    path = settings.home / "logs" / "system" / f"audit-{clock.utcnow():%Y-%m-%d}.jsonl"
    last = json.loads(path.read_bytes().splitlines()[-1])
    assert (last["message"], last["subject"], last["number"]) == ("thing.do", "thing/77", 77)
