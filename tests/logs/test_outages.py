"""A log that can not be written: no call fails, everything is counted, said once, and told when it is over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextvars import Context
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from mcpweb import clock
from mcpweb.database import db, transaction
from mcpweb.errors import Unavailable
from mcpweb.instances.models import Status
from mcpweb.logs import audit, events
from mcpweb.logs.models import AuditEvent
from mcpweb.logs.writing import LogFiles
from tests.instances.endpoint import works
from tests.logs.small_disk import fill, small_disk

ALARM = "mcpweb: the log can not be written"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB."""
    with small_disk(tmp_path / "disk", 1024) as folder:
        yield folder


def written(root: Path, category: str) -> list[dict]:
    """The lines of a system category; each must be whole."""
    found = []
    for path in sorted((root / "system").glob(f"{category}-*.jsonl")):
        found += [json.loads(raw) for raw in path.read_bytes().split(b"\n") if raw]
    return found


def test_a_full_disk_costs_lines_but_no_call_and_is_told_once_and_again_when_it_is_over(disk, capfd):
    files = LogFiles(disk)
    now = clock.utcnow()
    files.system("performance", now, b'{"n":0}\n')
    files.system("app", now, b'{"message":"before"}\n')
    filler = fill(disk)

    for number in range(2000):
        files.system("performance", now, json.dumps({"n": number, "x": "y" * 100}).encode() + b"\n")

    assert files.lost_lines > 1900
    assert capfd.readouterr().err.count(ALARM) == 1
    filler.unlink()
    files.system("performance", now, b'{"n":"after"}\n')
    assert capfd.readouterr().err == ""
    told = written(disk, "app")[-1]
    assert (told["message"], told["lost_lines"]) == ("the log was not written", files.lost_lines)
    assert told["reason"] == "No space left on device" and told["since"] and told["level"] == "error"
    [path] = (disk / "system").glob("performance-*")
    assert path.read_bytes().endswith(b'\n{"n":"after"}\n')

    fill(disk)
    for _ in range(100):
        files.system("performance", now, b"x" * 2000 + b"\n")
    assert capfd.readouterr().err.count(ALARM) == 1, "the next outage is told again"


def test_a_line_after_half_a_line_stands_on_its_own_whoever_left_the_half(tmp_path):
    one, other = LogFiles(tmp_path), LogFiles(tmp_path)
    now = clock.utcnow()
    one.system("app", now, b'{"n":1}\n')
    path = next((tmp_path / "system").iterdir())
    with path.open("ab") as file:
        file.write(b'{"n":2,"half')

    other.system("app", now, b'{"n":3}\n')
    one.system("app", now, b'{"n":4}\n')

    assert path.read_bytes().splitlines()[-2:] == [b'{"n":3}', b'{"n":4}']


SHORT = """
import resource, signal, sys
from pathlib import Path
from mcpweb import clock
from mcpweb.logs.writing import LogFiles
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
files, now = LogFiles(Path(sys.argv[1])), clock.utcnow()
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
for number in range(100):
    files.system("app", now, b'{"n":%d,"x":"%s"}' % (number, b"y" * 83) + b"\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
files.system("app", now, b'{"n":"after"}\\n')
print(files.lost_lines)
"""


def test_a_write_that_stops_in_the_middle_of_a_line_spoils_no_other(tmp_path):
    environ = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", SHORT, str(tmp_path)], env=environ, capture_output=True, text=True, check=True
    )

    raw = next((tmp_path / "system").iterdir()).read_bytes().splitlines()
    torn = [one for one in raw if not one.endswith(b"}")]
    lines = [json.loads(one) for one in raw if one.endswith(b"}")]
    assert len(torn) == 1 and done.stderr.count(ALARM) == 1
    kept = [line["n"] for line in lines if "n" in line]
    assert kept == [*range(len(kept) - 1), "after"]
    assert (
        int(done.stdout) == 100 - (len(kept) - 1) == next(line["lost_lines"] for line in lines if "lost_lines" in line)
    )


def test_one_blocked_file_is_told_once_and_hides_no_full_disk(disk, capfd):
    files, now = LogFiles(disk), clock.utcnow()
    folder = files.instance_folder(1, UUID(int=1))
    (folder / f"access-{now:%Y-%m-%d}.jsonl").mkdir(parents=True)
    for _ in range(50):
        files.instance(1, UUID(int=1), "access", now, b"{}\n")
        files.system("performance", now, b"{}\n")
    assert capfd.readouterr().err.count(ALARM) == 1
    assert written(disk, "app") == []

    fill(disk)
    for _ in range(100):
        files.system("performance", now, b"x" * 2000 + b"\n")

    assert capfd.readouterr().err.count("No space left") == 1


def test_an_error_output_that_can_not_be_written_either_harms_nobody(tmp_path, monkeypatch):
    (tmp_path / "logs").write_text("")
    files = LogFiles(tmp_path / "logs")
    with open("/dev/full", "w", buffering=1) as full:
        monkeypatch.setattr(sys, "stderr", full)
        files.system("app", clock.utcnow(), b"{}\n")
        monkeypatch.undo()
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())  # what it holds can be let go

    assert files.lost_lines == 1


# The audit log


@pytest.fixture(params=["full", "no folder", "almost full"])
def unwritable(request: pytest.FixtureRequest, app, process_state, tmp_path: Path, disk: Path) -> Iterator[Path]:
    """A log folder in use that can not be written; its parent is where it can be mended."""
    root = disk / "logs"
    events.start(LogFiles(root))
    if request.param == "no folder":
        root.write_text("a file where the folder should be")
    else:
        events.app("started")
        fill(disk, leave=100 * 1024 if request.param == "almost full" else 0)
    yield root


def mend(root: Path) -> None:
    for path in (root.parent / "filler", root):
        if path.is_file():
            path.unlink()


def test_a_change_that_can_not_be_audited_is_refused_whole_and_calls_go_on(
    app, alice, make_instance, process_state, disk, capfd
):
    events.start(LogFiles(disk / "logs"))
    instance, token = make_instance()
    page = alice.get(f"/instances/{instance.id}")
    fill(disk)
    rows = db.session.query(AuditEvent).count()
    capfd.readouterr()

    refused = alice.submit(page.form("/deactivate"))

    assert refused.status == 503
    assert "Nothing was changed, because the audit log can not be written" in refused.text
    db.session.rollback()
    db.session.refresh(instance)
    assert instance.status == Status.ACTIVE
    assert db.session.query(AuditEvent).count() == rows
    assert works(app, instance.id, token), "a call needs no audit line"
    assert capfd.readouterr().err.count(ALARM) == 1


def test_a_change_is_refused_while_the_audit_log_can_not_be_written_and_taken_afterwards(unwritable):
    def change() -> None:
        with transaction():
            audit.record("thing.change", actor="alice@example.com", subject="thing/1")

    with pytest.raises(Unavailable, match="audit log can not be written"):
        change()
    assert db.session.query(AuditEvent).filter_by(subject="thing/1").count() == 0

    mend(unwritable)
    change()

    assert db.session.query(AuditEvent).filter_by(subject="thing/1").count() == 1
    assert [line["subject"] for line in written(unwritable, "audit")] == ["thing/1"]


# One user's share


def test_beyond_his_share_an_owners_own_files_take_no_more_that_day_and_the_system_files_do(tmp_path, monkeypatch):
    files, now = LogFiles(tmp_path, user_bytes_per_day=1000), clock.utcnow()
    monkeypatch.setattr(events, "_files", files)

    for number in range(50):
        Context().run(events.call, 7, UUID(int=number % 3), {"tool": "t", "n": number}, failed=False)
    events.call(8, UUID(int=9), {"tool": "t"}, failed=False)

    own = sum(path.stat().st_size for path in tmp_path.glob("users/user_7/*/*.jsonl"))
    assert 0 < own <= 1000
    assert len(written(tmp_path, "performance")) == 51
    assert list(tmp_path.glob("users/user_8/*/access-*.jsonl"))
    [told] = written(tmp_path, "app")
    assert (told["user"], told["limit_bytes"]) == (7, 1000)
    assert "used up" in told["message"] and files.dropped_lines > 40

    files.instance(7, UUID(int=1), "access", now + timedelta(days=1), b"{}\n")
    assert list(tmp_path.glob(f"users/user_7/*/access-{now + timedelta(days=1):%Y-%m-%d}.jsonl"))


# A process that stood still while the day was closed


def test_a_line_of_a_day_whose_file_was_removed_meanwhile_is_written_to_a_new_one(tmp_path):
    files = LogFiles(tmp_path)
    yesterday = clock.utcnow() - timedelta(days=1)
    files.system("app", yesterday, b"1\n")
    path = next((tmp_path / "system").iterdir())
    path.unlink()

    files.system("app", yesterday, b"2\n")

    assert path.read_bytes() == b"2\n"
    assert files.lost_lines == 0


def test_a_process_that_stood_still_right_before_it_wrote_writes_again(tmp_path, monkeypatch):
    files = LogFiles(tmp_path)
    at = clock.utcnow()
    files.system("app", at, b"1\n")
    path = next((tmp_path / "system").iterdir())
    path.unlink()
    moments = iter([at, *[at + timedelta(minutes=20)] * 5])
    monkeypatch.setattr(clock, "utcnow", lambda: next(moments))

    files.system("app", at, b"2\n")

    assert path.read_bytes() == b"2\n"
