"""Every damage to the audit trail is named with its kind and place."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text

from mcpweb.database import db, transaction
from mcpweb.logs import audit, events
from mcpweb.logs.verifying import Verdict, verify


@pytest.fixture
def log_folder(app: Flask) -> Path:
    """The log folder, with an audit log that begins now."""
    root = events.files().root
    for path in root.glob("system/audit-*.jsonl"):
        path.write_bytes(b"")
    return root


def _write(count: int) -> None:
    with transaction():
        for number in range(count):
            audit.record("thing.change", actor="alice@example.com", subject=f"thing/{number}", number=number)


def _damage(*statements: str) -> None:
    for statement in statements:
        with transaction():
            db.session.execute(text(statement))


def _verdict(folder: Path) -> Verdict:
    db.session.rollback()
    return verify(folder)


def test_an_untouched_trail_is_whole(log_folder: Path) -> None:
    _write(20)

    verdict = _verdict(log_folder)

    assert verdict.is_whole and verdict.last >= 20


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (["UPDATE audit_event SET actor = 'bob@example.com' WHERE seq = 12"], "entry 12 was changed"),
        (["DELETE FROM audit_event WHERE seq = 12"], "entry 12 is missing"),
        (["DELETE FROM audit_event WHERE seq BETWEEN 12 AND 14"], "entry 12 to 14 is missing"),
        (
            [
                "UPDATE audit_event SET seq = -1 WHERE seq = 12",
                "UPDATE audit_event SET seq = 12 WHERE seq = 15",
                "UPDATE audit_event SET seq = 15 WHERE seq = -1",
            ],
            "entry 12 was exchanged with entry 15",
        ),
        (
            [
                *(f"UPDATE audit_event SET seq = {n + 1} WHERE seq = {n}" for n in range(30, 11, -1)),
                "INSERT INTO audit_event SELECT 12, at, action, 'bob@example.com', subject, ip, details, x'00' "
                "FROM audit_event WHERE seq = 11",
            ],
            "entry 12 was inserted",
        ),
        (["DELETE FROM audit_event WHERE seq > 15"], "the end is cut off: it ends at 15"),
    ],
    ids=["changed", "removed", "three removed", "swapped", "inserted", "cut"],
)
def test_a_damage_is_named_with_its_place(log_folder: Path, statements: list[str], said: str) -> None:
    _write(20)
    if db.engine.dialect.name == "postgresql":
        statements = [one.replace("x'00'", "'\\x00'::bytea") for one in statements]
    _damage(*statements)

    assert _verdict(log_folder).damage.startswith(said)


def test_a_torn_last_line_of_the_log_is_no_tampering(log_folder: Path) -> None:
    _write(5)
    path = next(log_folder.glob("system/audit-*.jsonl"))
    with path.open("ab") as file:
        file.write(b'{"seq":99,"dig')

    verdict = _verdict(log_folder)

    assert verdict.is_whole
    assert "torn at the end, as by a crash" in verdict.notes[0]


def test_a_torn_line_in_the_middle_of_the_log_is_named(log_folder: Path) -> None:
    _write(5)
    path = next(log_folder.glob("system/audit-*.jsonl"))
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], lines[1][:20], *lines[2:]]))

    assert "line 2: unreadable" in _verdict(log_folder).notes[0]


def test_a_chain_rewritten_with_the_key_does_not_fit_the_log(log_folder: Path) -> None:
    _write(5)
    with transaction():
        db.session.execute(text("DELETE FROM audit_event"))
    kept = {path: path.read_bytes() for path in log_folder.glob("system/audit-*.jsonl")}
    with transaction():
        for number in range(9):
            audit.record("thing.other", actor="bob@example.com", subject=f"thing/{number}")
    for path, content in kept.items():
        path.write_bytes(content)

    assert "the chain was rewritten" in _verdict(log_folder).damage
