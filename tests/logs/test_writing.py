"""Log files: shared by processes, never in the way, one file a day."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from mcpweb.logs import writing
from mcpweb.logs.writing import LogFiles

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
WRITER = """
import sys, json, time
from datetime import datetime, timedelta
from pathlib import Path
from mcpweb.logs.writing import LogFiles
root, midnight, count, name = sys.argv[1:]
files, midnight, count = LogFiles(Path(root)), datetime.fromisoformat(midnight), int(count)
sys.stdin.readline()
began = time.perf_counter()
for number in range(count):
    at = midnight + timedelta(milliseconds=number - count // 2)
    line = {"time": at.isoformat(), "writer": name, "number": number, "padding": "x" * (number % 700)}
    files.system("performance", at, json.dumps(line).encode() + b"\\n")
print(files.lost_lines, time.perf_counter() - began)
"""
# A day to come: what is long past when it is written takes the slower way of late lines.
MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=2)


def test_of_eight_processes_with_twenty_thousand_lines_across_midnight_none_is_lost_torn_or_out_of_order(tmp_path):
    root = Path(__file__).parents[2]
    environ = os.environ | {"PYTHONPATH": str(root)}
    command = [sys.executable, "-c", WRITER, str(tmp_path), MIDNIGHT.isoformat(), "20000"]
    writers = [
        subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ)
        for name in "abcdefgh"
    ]
    outputs = [writer.communicate("go\n", timeout=120)[0].split() for writer in _started(writers)]

    assert [lost for lost, _ in outputs] == ["0"] * 8
    days = sorted((tmp_path / "system").iterdir())
    assert [path.name for path in days] == [
        f"performance-{MIDNIGHT - timedelta(days=1):%Y-%m-%d}.jsonl",
        f"performance-{MIDNIGHT:%Y-%m-%d}.jsonl",
    ]
    seen: Counter[str] = Counter()
    for path in days:
        for raw in path.read_bytes().splitlines():
            line = json.loads(raw)
            assert line["number"] == seen[line["writer"]]
            assert line["time"][:10] in path.name
            seen[line["writer"]] += 1
    assert seen == dict.fromkeys("abcdefgh", 20_000)
    slowest = max(float(seconds) for _, seconds in outputs)
    print(f"8 processes, 160,000 lines, {sum(path.stat().st_size for path in days) / 1e6:.0f} MB in {slowest:.1f} s")


def _started(writers: list[subprocess.Popen[str]]) -> list[subprocess.Popen[str]]:
    """Let all of them begin before the first is waited for."""
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("go\n")
        writer.stdin.flush()
    return writers


def test_threads_share_a_log_without_losing_lines(tmp_path):
    files = LogFiles(tmp_path)
    instances = [uuid4() for _ in range(5)]

    def write(name: int) -> None:
        for number in range(400):
            files.instance(1, instances[number % 5], "access", NOON, b"%d %d\n" % (name, number))

    threads = [threading.Thread(target=write, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    written = [
        line
        for instance in instances
        for path in files.instance_folder(1, instance).iterdir()
        for line in path.read_bytes().splitlines()
    ]
    assert len(written) == len(set(written)) == 3200
    assert files.lost_lines == 0


def test_a_folder_that_can_not_be_written_is_counted_said_once_and_raises_nothing(tmp_path, capfd):
    (tmp_path / "logs").write_text("a file where the folder should be")
    files = LogFiles(tmp_path / "logs")

    for _ in range(5):
        files.system("app", NOON, b"line\n")

    assert files.lost_lines == 5
    assert capfd.readouterr().err.count("the log can not be written") == 1


def test_after_the_folder_is_mended_lines_are_written_again(tmp_path, capfd):
    blocked = tmp_path / "logs"
    blocked.write_text("")
    files = LogFiles(blocked)
    files.system("app", NOON, b"lost\n")

    blocked.unlink()
    files.system("app", NOON, b"kept\n")

    assert (blocked / "system" / "app-2026-11-23.jsonl").read_bytes() == b"kept\n"


@pytest.mark.parametrize("device", ["/dev/full"])
def test_a_full_disk_is_counted_and_raises_nothing(device, tmp_path, monkeypatch, capfd):
    if not os.path.exists(device):
        pytest.skip("this system has no /dev/full")
    files = LogFiles(tmp_path)
    full = os.open(device, os.O_WRONLY)
    monkeypatch.setattr(files, "_descriptor", lambda *_: full)

    files.system("app", NOON, b"line\n")

    assert files.lost_lines == 1
    os.close(full)


def test_a_new_day_begins_a_new_file_and_leaves_the_old_as_it_is(tmp_path):
    files = LogFiles(tmp_path)

    for day in range(3):
        files.system("app", NOON + timedelta(days=day), b"day %d\n" % day)
    files.system("app", NOON, b"late\n")

    contents = {path.name: path.read_bytes() for path in (tmp_path / "system").iterdir()}
    assert contents == {
        "app-2026-11-23.jsonl": b"day 0\nlate\n",
        "app-2026-11-24.jsonl": b"day 1\n",
        "app-2026-11-25.jsonl": b"day 2\n",
    }


def test_only_so_many_files_are_kept_open(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "_MAX_OPEN", 10)
    files = LogFiles(tmp_path)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0

    for number in range(50):
        files.instance(1, UUID(int=number), "access", NOON, b"x\n")

    if before:
        assert len(os.listdir("/proc/self/fd")) <= before + 11
    assert files.lost_lines == 0


def test_a_link_in_the_place_of_a_log_is_not_followed(tmp_path, capfd):
    victim = tmp_path / "victim"
    victim.write_text("precious\n")
    files = LogFiles(tmp_path / "logs")
    folder = files.instance_folder(1, UUID(int=1))
    folder.mkdir(parents=True)
    (folder / "access-2026-11-23.jsonl").symlink_to(victim)

    files.instance(1, UUID(int=1), "access", NOON, b"line\n")

    assert victim.read_text() == "precious\n"
    assert files.lost_lines == 1


def test_folders_are_ours_alone_and_so_are_files(tmp_path):
    old = os.umask(0)
    try:
        LogFiles(tmp_path / "a" / "logs").instance(3, UUID(int=1), "access", NOON, b"x\n")
    finally:
        os.umask(old)

    made = [tmp_path / "a", *(tmp_path / "a").rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in made if path.is_dir()} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in made if path.is_file()} == {0o600}


def test_a_forked_process_writes_on_and_disturbs_nothing(tmp_path):
    files = LogFiles(tmp_path)
    files.system("app", NOON, b"before\n")

    child = os.fork()
    if child == 0:
        files.system("app", NOON, b"child\n")
        files.system("app", NOON + timedelta(days=1), b"child\n")
        os._exit(0)
    os.waitpid(child, 0)
    files.system("app", NOON, b"after\n")

    assert (tmp_path / "system" / "app-2026-11-23.jsonl").read_bytes() == b"before\nchild\nafter\n"
