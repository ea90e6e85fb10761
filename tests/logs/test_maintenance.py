"""The daily work on the log folder: days are closed, old ones go, and no line is lost or doubled on the way."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mcpweb.errors import Conflict
from mcpweb.logs import integrity, reading
from tests.logs.log_folder import KEY, MINE, NOW, POLICY, maintain, messages, names, write
from tests.logs.small_disk import fill, small_disk


def tree(root: Path) -> dict[str, bytes]:
    """Everything in a folder, but for the lock files."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name not in (".maintenance", ".closing")
    }


def test_a_finished_day_is_compressed_listed_and_whole_and_the_plain_file_is_gone(tmp_path):
    said = write(tmp_path, 1)
    os.utime(tmp_path / "system/app-2026-11-22.jsonl", (1_790_000_000, 1_790_000_000))

    report = maintain(tmp_path)

    own = tmp_path / f"users/user_1/mcp_{MINE}"
    assert names(tmp_path / "system") == ["app-2026-11-22.jsonl.gz", "audit-2026-11-22.jsonl.gz"]
    assert names(own) == ["access-2026-11-22.jsonl.gz"]
    assert messages(tmp_path / "system") == messages(own) == Counter(said)
    assert (report.verified, report.problems, report.is_sound) == ({"ok": 2}, [], True)
    assert len(report.closed) == 3 and report.freed_bytes > 0
    entries = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert [(entry["file"], entry["lines"]) for entry in entries] == [
        ("app-2026-11-22.jsonl", 50),
        ("audit-2026-11-22.jsonl", 50),
    ]
    assert (entries[0]["first"], entries[0]["last"]) == ("2026-11-22T00:00:00+00:00", "2026-11-22T00:00:49+00:00")
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_file()} == {0o600}

    assert (tmp_path / "system/app-2026-11-22.jsonl.gz").stat().st_mtime == 1_790_000_000, "when it was last written"

    before = tree(tmp_path)
    assert maintain(tmp_path).closed == []
    assert tree(tmp_path) == before


def test_a_day_that_has_just_ended_and_today_stay_as_they_are(tmp_path):
    write(tmp_path, 0, 1)

    report = maintain(tmp_path, NOW - timedelta(seconds=1))

    assert report.closed == []
    assert "app-2026-11-22.jsonl" in names(tmp_path / "system")
    maintain(tmp_path)
    assert {"app-2026-11-22.jsonl.gz", "app-2026-11-23.jsonl"} <= set(names(tmp_path / "system"))


def test_an_instances_last_lines_are_read_from_compressed_days_too(tmp_path):
    write(tmp_path, 0, 1, 2, count=3, categories=("app",))
    maintain(tmp_path)
    write(tmp_path, 1, count=1, categories=("late",))

    lines = reading.last(tmp_path / f"users/user_1/mcp_{MINE}", "access", 8)

    expected = ["app 0 2", "app 0 1", "app 0 0", "late 1 0", "app 1 2", "app 1 1", "app 1 0", "app 2 2"]
    assert [line["message"] for line in lines] == expected


# Killed at any point


def killed_at(point: int, work: Callable[[], Any]) -> bool:
    """Do the work in a process that kills itself, as by kill -9, at its so-manieth call of the operating system.

    Returns whether it got so far.
    """
    child = os.fork()
    if child == 0:
        calls = 0

        def count(_frame: Any, event: str, called: Any) -> None:
            nonlocal calls
            owner = type(getattr(called, "__self__", None)).__module__  # of a method of a file
            if event == "c_call" and {"posix", "fcntl", "_io"} & {called.__module__, owner}:
                calls += 1
                if calls == point:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.setprofile(count)
        try:
            work()
        finally:
            sys.setprofile(None)
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.parametrize(("late", "stride"), [(False, 70), (True, 35)], ids=["first closing", "late lines"])
def test_killed_at_any_point_a_run_loses_and_doubles_no_line_and_the_next_completes_it(late, stride, tmp_path):
    origin = tmp_path / "origin"
    said = write(origin, 2, 1, 40, count=6)
    if late:  # a day that is closed already gets more lines
        maintain(origin)
        said += write(origin, 1, count=4, categories=("app", "late"))
    kept = Counter(message for message in said if not message.startswith("app 40"))  # its days are over
    point = tried = 1
    while True:
        root = tmp_path / str(point)
        shutil.copytree(origin, root)
        if not killed_at(point, lambda root=root: maintain(root)):
            break
        report = maintain(root)
        assert report.is_sound, (point, report.problems)
        assert [one for one in report.problems if "as by a crash" not in one] == [], point
        assert messages(root / "system") == kept, point
        assert messages(root / f"users/user_1/mcp_{MINE}") == Counter(one for one in said if " 40 " not in one), point
        assert [name for name in names(root / "system") if not name.endswith(".gz")] == [], point
        assert integrity.verify(root, KEY).is_whole
        shutil.rmtree(root)
        point, tried = point + random.randint(1, stride), tried + 1
    print(f"killed at {tried - 1} of {point} points")
    assert tried > 20


# Late lines


def test_lines_that_come_after_a_day_was_closed_are_added_to_it(tmp_path):
    said = write(tmp_path, 1, count=5)
    maintain(tmp_path)
    for time in ("again", "and again", "a last time"):
        said += write(tmp_path, 1, count=2, categories=("app", "security"), more=time)

        report = maintain(tmp_path)

        assert report.is_sound and report.problems == []
        assert messages(tmp_path / "system") == messages(tmp_path / f"users/user_1/mcp_{MINE}") == Counter(said)
    assert names(tmp_path / "system") == [f"{name}-2026-11-22.jsonl.gz" for name in ("app", "audit", "security")]


LATE = """
import json, sys
from datetime import datetime
from pathlib import Path
from mcpweb.logs.writing import LogFiles
root, at, name = sys.argv[1:]
files, at = LogFiles(Path(root)), datetime.fromisoformat(at)
print("ready", flush=True)
for number in range(3000):
    files.system("app", at, json.dumps({"time": at.isoformat(), "message": f"{name} {number}"}).encode() + b"\\n")
print(files.lost_lines)
"""


def test_processes_that_write_to_a_day_while_it_is_closed_again_and_again_lose_and_double_no_line(tmp_path):
    environ = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", LATE, str(tmp_path), (NOW - timedelta(days=1)).isoformat()]
    writers = [
        subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True, env=environ) for name in ("a", "b", "c")
    ]
    for writer in writers:
        assert writer.stdout and writer.stdout.readline() == "ready\n"

    runs = 0
    while any(writer.poll() is None for writer in writers):
        report = maintain(tmp_path)
        runs += 1
        assert report.is_sound, report.problems
    maintain(tmp_path)

    assert [writer.communicate()[0] for writer in writers] == ["0\n"] * 3
    assert messages(tmp_path / "system") == Counter(f"{name} {number}" for name in "abc" for number in range(3000))
    assert runs >= 3
    print(f"9,000 late lines of 3 processes while the day was closed {runs} times")


def test_a_day_of_a_late_line_whose_compressed_file_is_gone_or_changed_keeps_the_line_and_says_so(tmp_path):
    write(tmp_path, 1, 2, count=5)
    maintain(tmp_path)
    write(tmp_path, 1, 2, count=1, categories=("app",))
    (tmp_path / "system/app-2026-11-22.jsonl.gz").unlink()
    (tmp_path / "system/app-2026-11-21.jsonl.gz").write_bytes(gzip.compress(b'{"time":"x","message":"forged"}\n'))

    for _ in range(2):
        report = maintain(tmp_path)

        assert report.verified == {"ok": 2, "missing": 1, "changed": 1} and not report.is_sound
        told = [one for one in report.problems if "came late" in one]
        assert "app-2026-11-21.jsonl came late, and the compressed file that it belongs to was changed" in told[0]
        assert "app-2026-11-22.jsonl came late, and the compressed file that it belongs to is missing" in told[1]
    assert messages(tmp_path / "system", "app*")["app 1 0"] == 1


def test_a_late_line_of_a_day_that_was_just_being_deleted_is_kept_until_its_own_time(tmp_path, monkeypatch):
    write(tmp_path, 40, count=5, categories=("app",))
    maintain(tmp_path, policy=replace(POLICY, days=100))
    monkeypatch.setattr(Path, "unlink", _refuse)
    maintain(tmp_path)
    monkeypatch.undo()
    write(tmp_path, 40, count=1, categories=("app",), more=" late")

    report = maintain(tmp_path, policy=replace(POLICY, days=100))

    assert report.problems == [] and report.is_sound
    assert messages(tmp_path / "system") == {"app 40 0 late": 1}


def _refuse(_path: Path, missing_ok: bool = False) -> None:
    raise OSError(5, "Input/output error")


# Several at once, a full disk, no change


def test_a_second_run_at_the_same_time_is_refused(tmp_path):
    write(tmp_path, 1)
    with open(tmp_path / ".maintenance", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Conflict, match="already at work"):
            maintain(tmp_path)

    assert len(maintain(tmp_path).closed) == 3


def test_a_disk_that_is_full_costs_no_line_and_the_next_run_closes_the_days(tmp_path):
    with small_disk(tmp_path / "disk", 1024) as disk:
        said = write(disk, 1)
        filler = fill(disk)

        report = maintain(disk)

        assert report.closed == [] and messages(disk / "system") == Counter(said)
        assert sum("No space left" in problem for problem in report.problems) == 3
        filler.unlink()
        assert len(maintain(disk).closed) == 3
        assert messages(disk / "system") == Counter(said)


def test_a_dry_run_says_what_it_would_do_and_changes_nothing(tmp_path):
    write(tmp_path, 40, 1)
    (tmp_path / "system/.app-2026-11-01.jsonl.draft.gz").write_bytes(b"half")
    before = tree(tmp_path)

    report = maintain(tmp_path, dry_run=True)

    assert tree(tmp_path) == before
    done = maintain(tmp_path)
    assert (report.closed, report.deleted) == (done.closed, done.deleted)
    assert report.is_dry_run and report.freed_bytes > 0 and len(done.deleted) == 2
    assert ".app-2026-11-01.jsonl.draft.gz" not in names(tmp_path / "system")


# Age and room


def test_each_category_is_deleted_at_its_own_age_and_is_not_missing_then(tmp_path):
    categories = ("app", "performance", "database", "security", "audit")
    write(tmp_path, 30, 31, 180, 181, 730, 731, count=1, categories=categories)

    report = maintain(tmp_path)

    left = Counter(name.split("-")[0] for name in names(tmp_path / "system"))
    assert left == {"app": 1, "performance": 1, "database": 1, "security": 3, "audit": 5}
    assert names(tmp_path / f"users/user_1/mcp_{MINE}") == ["access-2026-10-24.jsonl.gz"]
    assert report.is_sound and len(report.deleted) == 15 + 3 + 1 + 5
    again = maintain(tmp_path)
    assert (again.verified, again.deleted, again.problems) == ({"ok": 11}, [], [])
    reasons = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert Counter(one["reason"] for one in reasons if one["did"] == "deleted") == {"age": 19}


def test_beyond_the_disks_share_the_oldest_go_first_and_audit_last_and_today_never(tmp_path):
    write(tmp_path, 0, 1, 2, 3, categories=("app", "security", "audit"))
    sizes = {path: path.stat().st_size for path in tmp_path.rglob("*-2026-11-23.jsonl")}
    maintain(tmp_path)

    def after(room: int) -> list[str]:
        report = maintain(tmp_path, policy=replace(POLICY, disk_bytes=room))
        assert report.is_sound
        return [one.removeprefix("system/").removesuffix(".jsonl").replace("-2026-11-", " ") for one in report.deleted]

    total = sum(path.stat().st_size for path in tmp_path.rglob("*-2026-*"))
    assert after(total) == []
    assert after(total - 1) == ["app 20"]
    [own, *rest] = after(total - 900)
    assert own.endswith("access 20") and rest[:1] in ([], ["app 21"])
    gone = after(sum(sizes.values()))
    assert gone[-6:] == ["security 20", "security 21", "security 22", "audit 20", "audit 21", "audit 22"]
    assert set(sizes) == set(tmp_path.rglob("*-2026-*"))
    report = maintain(tmp_path, policy=replace(POLICY, disk_bytes=1))
    assert report.problems == ["the logs take more room than they may, and nothing more can be deleted"]


def test_a_disk_that_keeps_other_bytes_than_were_written_is_noticed_before_the_plain_file_goes(tmp_path, monkeypatch):
    said = write(tmp_path, 1)
    fsync = os.fsync

    def corrupt(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith(".draft.gz"):
            packed = gzip.compress(b'{"time":"x","message":"other"}\n')
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, packed, 0)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", corrupt)

    report = maintain(tmp_path)

    assert report.closed == [] and messages(tmp_path / "system") == Counter(said)
    assert sum("reads back otherwise than it was written" in problem for problem in report.problems) == 3
