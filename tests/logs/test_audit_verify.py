"""Every damage to the audit trail is named with its kind and place."""

from __future__ import annotations

import gzip
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text

from mcpweb import clock
from mcpweb.database import db, transaction
from mcpweb.logs import audit, events
from mcpweb.logs.verifying import Verdict, verify
from mcpweb.logs.writing import LogFiles


@pytest.fixture
def log_folder(app: Flask) -> Path:
    """The log folder, with an audit log that begins now."""
    root = events.files().root
    for path in root.glob("system/audit-*.jsonl"):
        path.write_bytes(b"")
    return root


def _today(log_folder: Path) -> Path:
    """The log that entries are written to now; tests that set the clock leave those of other days."""
    return log_folder / "system" / f"audit-{clock.utcnow():%Y-%m-%d}.jsonl"


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
    path = _today(log_folder)
    with path.open("ab") as file:
        file.write(b'{"seq":99,"dig')

    verdict = _verdict(log_folder)

    assert verdict.is_whole
    assert "torn at the end, as by a crash" in verdict.notes[0]


def test_a_torn_line_in_the_middle_of_the_log_is_named(log_folder: Path) -> None:
    _write(5)
    path = _today(log_folder)
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


# A long trail, written by several processes


def _length() -> int:
    """10,000 entries; PostgreSQL takes its time to write them one by one, and the chain is the same."""
    return 10_000 if db.engine.dialect.name == "sqlite" else 2000


@pytest.fixture
def long_trail(app: Flask, process_state: None, tmp_path: Path) -> Iterator[Path]:
    """Entries that four processes wrote at once; returns the log folder, where two days are compressed."""
    events.start(LogFiles(tmp_path))
    db.session.rollback()
    db.session.execute(text("DELETE FROM audit_event"))
    db.session.commit()
    db.engine.dispose()
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            signal.alarm(120)
            events.start(LogFiles(tmp_path))  # with locks of its own: a thread may have held the others
            db.engine.dispose(close=False)
            for _ in range(_length() // 400):
                _write(100)
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    [path] = (tmp_path / "system").glob("audit-*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    (tmp_path / "system/audit-2026-01-01.jsonl.gz").write_bytes(gzip.compress(b"".join(lines[:700])))
    late = gzip.compress(b"".join(lines[700:710])) + gzip.compress(b"".join(lines[710:1500]))
    (tmp_path / "system/audit-2026-01-02.jsonl.gz").write_bytes(late)
    path.write_bytes(b"".join(lines[1500:]))
    yield tmp_path
    db.session.rollback()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


SHIFT = (
    "UPDATE audit_event SET seq = -1 - seq WHERE seq >= 1000",
    "UPDATE audit_event SET seq = -seq WHERE seq < 0",
    "INSERT INTO audit_event SELECT 1000, at, action, 'bob@example.com', subject, ip, details, digest "
    "FROM audit_event WHERE seq = 999",
)
SWAP = (
    "UPDATE audit_event SET seq = -1 WHERE seq = 1000",
    "UPDATE audit_event SET seq = 1000 WHERE seq = 1200",
    "UPDATE audit_event SET seq = 1200 WHERE seq = -1",
)


def _rewrite(folder: Path) -> None:
    """What somebody with the key can do: from one entry on, digests that fit again."""
    before = b""
    for event in db.session.query(audit.AuditEvent).order_by(audit.AuditEvent.seq):
        if event.seq == 1000:
            event.actor = "bob@example.com"
        before = event.digest = audit.digest_of(before, event)
    db.session.flush()


def _sql(*statements: str) -> Callable[[Path], None]:
    def act(_folder: Path) -> None:
        for statement in statements:
            db.session.execute(text(statement))

    return act


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "changed": (_sql("UPDATE audit_event SET subject = 'x' WHERE seq = 1000"), "entry 1000 was changed"),
    "removed": (_sql("DELETE FROM audit_event WHERE seq = 1000"), "entry 1000 is missing"),
    "swapped": (_sql(*SWAP), "entry 1000 was exchanged with entry 1200"),
    "inserted": (_sql(*SHIFT), "entry 1000 was inserted"),
    "cut": (
        _sql("DELETE FROM audit_event WHERE seq > 1990"),
        "the end is cut off: it ends at 1990, the log knows ",
    ),
    "rewritten": (_rewrite, "from entry 1000 on the chain was rewritten"),
}


def test_ten_thousand_entries_of_four_processes_are_whole_and_each_damage_is_named_with_its_place(
    long_trail: Path,
) -> None:
    began = time.perf_counter()
    verdict = _verdict(long_trail)
    seconds = time.perf_counter() - began
    print(f"{db.engine.dialect.name}: {verdict.entries / seconds:,.0f} entries verified a second")

    assert (verdict.is_whole, verdict.entries, verdict.last, verdict.notes) == (True, _length(), _length(), ())
    for name, (damage, said) in DAMAGES.items():
        db.session.rollback()
        damage(long_trail)
        assert verify(long_trail).damage.startswith(said), name

    _cut(long_trail / "system/audit-2026-01-01.jsonl.gz")
    (long_trail / "system/audit-2026-01-03.jsonl").mkdir()
    verdict = _verdict(long_trail)
    assert verdict.is_whole, "the chain in the database is"
    assert verdict.notes == ("audit-2026-01-01.jsonl.gz is cut short",)
