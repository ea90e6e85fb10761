"""What an operator does with the logs: verify them, verify the trail of changes, run the day's work by hand."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mcpweb import clock
from mcpweb.cli import cli
from mcpweb.database import db, transaction
from mcpweb.jobs.log_maintenance import maintain_logs
from mcpweb.logs import audit, events
from mcpweb.logs.integrity import verify
from mcpweb.logs.maintenance import maintain
from mcpweb.logs.retention import Policy
from mcpweb.logs.writing import LogFiles
from mcpweb.web.current import settings as current_settings


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose logs hold a day that is over and one whose time is over."""
    files = LogFiles(tmp_path / "home" / "logs")
    for ago in (2, 50):
        at = clock.utcnow() - timedelta(days=ago)
        files.system("app", at, json.dumps({"time": at.isoformat(), "message": "m"}).encode() + b"\n")
    return tmp_path / "home"


@pytest.fixture
def run(app, process_state, environ: dict[str, str], settings, home: Path) -> Callable[..., Result]:
    """The command line on that home."""
    keys = {
        "MCPWEB_HOME": str(home),
        "MCPWEB_SECRET_KEY": (settings.home / "keys" / "secret_key").read_text().strip(),
        "MCPWEB_ENCRYPTION_KEYS": (settings.home / "keys" / "encryption_keys").read_text().strip(),
    }
    return lambda *arguments: CliRunner().invoke(cli, arguments, env=environ | keys, catch_exceptions=False)


def test_a_days_work_is_announced_done_and_verified_on_the_command_line(run, home):
    system = home / "logs/system"
    before = {path.name for path in system.glob("app-*")}

    announced = run("logs", "maintain", "--dry-run")
    assert announced.exit_code == 0
    assert "would close 2 files" in announced.output and "would delete 1 files" in announced.output
    assert before <= {path.name for path in system.glob("app-*")}

    done = run("logs", "maintain")
    assert done.exit_code == 0
    assert "closed 2 files" in done.output and "deleted 1 files" in done.output and "2 ok" in done.output

    verified = run("logs", "verify")
    assert (verified.exit_code, verified.output) == (0, "1 ok\n")
    [packed] = system.glob("app-*.gz")
    packed.write_bytes(gzip.compress(b"forged\n"))
    verified = run("logs", "verify")
    assert verified.exit_code == 1
    assert f"{packed.name.removesuffix('.gz')}: changed" in verified.output and "1 changed" in verified.output


def test_verifying_a_folder_without_closed_days_is_no_failure(run):
    verified = run("logs", "verify")

    assert (verified.exit_code, verified.output) == (0, "no day is closed yet\n")


def test_the_trail_of_changes_is_verified_on_the_command_line(run):
    with transaction():
        audit.record("thing.do", actor="alice@example.com", subject="thing/1")
        audit.record("thing.do", actor="alice@example.com", subject="thing/2")

    whole = run("audit", "verify")
    assert whole.exit_code == 0 and "whole to the last" in whole.output

    with transaction():
        db.session.query(audit.AuditEvent).order_by(audit.AuditEvent.seq.desc()).first().actor = "bob@example.com"
    broken = run("audit", "verify")
    assert broken.exit_code == 1 and "was changed" in broken.output


def test_the_job_reports_what_it_did_and_says_it_in_the_log_with_the_head_of_the_list(app, process_state, home):
    events.start(LogFiles(home / "logs"))

    report = maintain_logs()

    assert json.loads(json.dumps(report)) == report
    assert (report["closed_count"], report["deleted_count"], report["verified"]) == (2, 1, {"ok": 2})
    assert report["deleted"][0].startswith("system/app-") and report["is_sound"] is True
    [path] = list((home / "logs/system").glob("app-*.jsonl"))
    line = json.loads(path.read_bytes().splitlines()[-1])
    assert (line["message"], line["manifest_lines"]) == ("logs maintained", 3)
    assert line["manifest_head"] == report["manifest_head"] != ""


def test_closed_logs_that_were_tampered_with_are_a_security_line(app, process_state, home):
    events.start(LogFiles(home / "logs"))
    maintain_logs()
    next((home / "logs/system").glob("app-*.gz")).unlink()

    report = maintain_logs()

    assert report["verified"] == {"missing": 1} and report["is_sound"] is False
    [path] = (home / "logs/system").glob("security-*.jsonl")
    line = json.loads(path.read_bytes().splitlines()[-1])
    assert (line["message"], line["level"]) == ("closed logs do not fit their list", "error")
    assert "missing" in line["problems"][0]


@pytest.mark.parametrize("left", [0, 2])
def test_a_list_that_was_cut_off_with_its_files_does_not_fit_what_the_log_knows(left, app, process_state, home):
    events.start(LogFiles(home / "logs"))
    maintain_logs()
    key = Policy.of(current_settings()).key
    assert verify(home / "logs", key).is_whole
    path = home / "logs/manifest.jsonl"

    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:left]))
    for packed in (home / "logs/system").glob("*.gz"):
        packed.unlink() if left == 0 else None

    assert f"the end is cut off: it has {left} lines" in verify(home / "logs", key).manifest[0]


def test_another_list_of_the_same_length_does_not_fit_what_the_log_knows(app, process_state, home):
    events.start(LogFiles(home / "logs"))
    maintain_logs()
    policy = Policy.of(current_settings())
    (home / "logs/manifest.jsonl").unlink()
    other = LogFiles(home / "other")
    for ago in (3, 4, 5):
        at = clock.utcnow() - timedelta(days=ago)
        other.system("app", at, json.dumps({"time": at.isoformat(), "message": "m"}).encode() + b"\n")
    maintain(other, clock.utcnow(), policy)
    (home / "other/manifest.jsonl").rename(home / "logs/manifest.jsonl")

    assert "line 3 is not the one" in verify(home / "logs", policy.key).manifest[0]
