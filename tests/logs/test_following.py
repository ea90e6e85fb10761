"""Following the log files: every line is in the index and counted exactly once, whatever happens meanwhile."""

from __future__ import annotations

import gzip
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.engine import make_url

from mcpweb.cli import cli
from mcpweb.database import db
from mcpweb.errors import Unavailable
from mcpweb.hosts import host_id
from mcpweb.instances import counting
from mcpweb.instances.models import Instance, UsageRollup
from mcpweb.logs import following, log_files, rollups
from mcpweb.logs.events import CATEGORIES
from mcpweb.logs.following import Follower, hold, known_files
from mcpweb.logs.index import LogIndex
from mcpweb.logs.index_postgres import PostgresIndex
from mcpweb.logs.index_postgres_tables import SCHEMA
from mcpweb.logs.index_sqlite import SqliteIndex
from mcpweb.logs.models import LogFile, LogRollup
from mcpweb.logs.opening import open_index as index_of
from mcpweb.logs.query import Query
from mcpweb.logs.rebuilding import forget, rebuild
from mcpweb.logs.writing import LogFiles
from mcpweb.settings import Settings
from tests.fault_proxy import FaultProxy
from tests.logs.follower_program import open_index
from tests.logs.index_lines import DAY, NOON, encoded
from tests.waiting import until

ROOT = Path(__file__).parents[2]
HOST = "aaaaaaaaaaaa"


@pytest.fixture
def place(app: Flask, settings: Settings, tmp_path: Path) -> str:
    """Where the index of this database is, and empty."""
    if settings.database.startswith("sqlite"):
        return str(tmp_path / "home" / "logs" / "index")
    with psycopg.connect(settings.database.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    return settings.database


@pytest.fixture
def index(place: str) -> LogIndex:
    return open_index(place)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A host's log folder."""
    (tmp_path / "home" / "logs" / "system").mkdir(parents=True)
    return tmp_path / "home" / "logs"


@pytest.fixture
def follower(app: Flask, root: Path, index: LogIndex) -> Follower:
    return make_follower(root, index)


def make_follower(root: Path, index: LogIndex, host: str = HOST) -> Follower:
    return Follower(root, host, index, partial(counting.count, host))


def write(root: Path, count: int, category: str = "app", day: date = DAY, **fields: Any) -> None:
    """Append lines to a category."""
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    with (root / "system" / f"{category}-{day}.jsonl").open("ab") as file:
        for number in range(count):
            file.write(encoded(at + timedelta(seconds=number), "said", category, number=number, **fields))


def call(instance: Instance, number: int, at: datetime = NOON, **fields: Any) -> bytes:
    """The line of a tool call."""
    said = {"tool": "get_issue", "outcome": "ok", "duration_ms": 12.5, "upstream_ms": 10.0, "upstream_requests": 1}
    return encoded(
        at,
        instance_id=instance.id,
        user_id=instance.owner_id,
        token_id=instance.tokens[0].id,
        client="client/1",
        method="tools/call",
        number=number,
        request_id=f"call-{number}",
        **(said | fields),
    )


def stored(instance: Instance) -> Instance:
    db.session.rollback()
    found = db.session.get(Instance, instance.id, populate_existing=True)
    assert found
    return found


def offsets() -> dict[str, int]:
    db.session.rollback()
    rows = db.session.execute(select(LogFile.host, LogFile.name, LogFile.offset))
    return {f"{host}/{name}": offset for host, name, offset in rows}


def rolled_up(**where: str) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.coalesce(func.sum(LogRollup.lines), 0)).filter_by(**where)) or 0


def test_lines_of_all_five_files_go_into_the_index_once(follower, index, root):
    for number, category in enumerate(CATEGORIES):
        write(root, 10 + number, category, level="error" if category == "app" else "info")

    assert following.behind(root, HOST) == sum(path.stat().st_size for path in (root / "system").iterdir())
    assert follower.step() == 60
    assert follower.step() == 0

    assert following.behind(root, HOST) == 0
    assert index.count(Query("said"), 100) == 60
    assert index.facets(Query(), ["category"], 9)["category"][0] == ("database", 14)
    assert rolled_up() == 60 and rolled_up(category="app", level="error", host=HOST) == 10
    assert rollups.by_hour(NOON, NOON + timedelta(hours=1))[0] == (NOON, "app", "error", 10)
    assert offsets() == {f"{HOST}/{path.name}": path.stat().st_size for path in (root / "system").iterdir()}


def test_a_line_without_its_end_is_left_until_it_has_one(follower, index, root):
    path = root / "system" / f"app-{DAY}.jsonl"
    whole = encoded(NOON, "said", number=1)
    path.write_bytes(whole + whole[:40])

    assert follower.step() == 1
    assert follower.step() == 0
    with path.open("ab") as file:
        file.write(whole[40:])
    assert follower.step() == 1

    assert index.count(Query("said"), 9) == 2


def test_what_is_no_line_is_left_out_and_counted_and_holds_nothing_up(follower, index, root, caplog):
    path = root / "system" / f"performance-{DAY}.jsonl"
    line = encoded(NOON, "said", number=1)
    garbage = [
        b"\xff\xfe\x00",
        b"",
        b"[1,2]",
        b"null",
        line[:50],
        b"[" * 100_000,
        b'{"time":"' + b"x" * 2_000_000 + b'"}',
    ]
    path.write_bytes(b"".join(line + one + b"\n" for one in garbage) + line)

    assert follower.step() == 2 * len(garbage) + 1

    assert index.count(Query("said"), 99) == len(garbage) + 1 == rolled_up()
    [record] = [one for one in caplog.records if one.message == "lines of a log file are none"]
    assert record.lines == len(garbage)  # type: ignore[attr-defined]
    assert follower.step() == 0


def test_a_file_that_is_compressed_meanwhile_is_read_on_where_it_was(follower, index, root, monkeypatch):
    monkeypatch.setattr(log_files, "BATCH", 10)
    monkeypatch.setattr(following, "_BATCHES", 2)
    write(root, 45)
    plain = root / "system" / f"app-{DAY}.jsonl"
    size = plain.stat().st_size
    assert follower.step() == 20

    (root / "system" / f"{plain.name}.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    assert [follower.step(), follower.step(), follower.step()] == [20, 5, 0]

    assert [one.fields["number"] for one in index.stream(Query(), newest_first=False)] == list(range(45))
    assert offsets() == {f"{HOST}/{plain.name}": size}
    assert make_follower(root, index).step() == 0, "nor does another process read it again"


def test_at_midnight_the_lines_of_both_days_are_taken(follower, index, root):
    files = LogFiles(root)
    midnight = datetime(2026, 11, 26, tzinfo=UTC)
    for number in range(-5, 5):
        at = midnight + timedelta(milliseconds=number)
        files.system("app", at, encoded(at, "said", "app", number=number))
        follower.step()

    assert index.days() == [date(2026, 11, 26), DAY]
    assert [one.fields["number"] for one in index.stream(Query())] == list(range(4, -6, -1))


def test_broken_and_foreign_files_are_named_and_the_others_go_on(follower, index, root):
    folder = root / "system"
    lines = b"".join(encoded(NOON, "said", number=number) for number in range(500))
    packed = gzip.compress(lines)
    (folder / f"app-{DAY}.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    (folder / f"security-{DAY}.jsonl.gz").write_bytes(b"\xff" * 999)
    (folder / "security-2026-11-24.jsonl.gz").write_bytes(packed[:200] + b"\xff" * 500 + packed[700:])
    (folder / f"database-{DAY}.jsonl.gz").write_bytes(b"")
    (folder / f"audit-{DAY}.jsonl").write_bytes(b"")
    (folder / "audit-2026-11-24.jsonl").mkdir()
    (folder / "audit-2026-11-23.jsonl").symlink_to("/etc/passwd")
    (folder / "app-2026-99-99.jsonl").write_bytes(lines)
    (folder / "notes.txt").write_bytes(lines)
    (folder / f"app-{DAY}.jsonl.gz.tmp").write_bytes(packed)
    write(root, 7, "performance")

    taken = follower.step()

    assert follower.step() == 0
    assert index.count(Query("category:performance"), 99) == 7
    assert index.count(Query(), 2000) == taken and taken > 100, "of a file that was cut, what is left counts"
    assert [problem.split(":")[0] for problem in follower.problems] == [
        f"app-{DAY}.jsonl", "security-2026-11-24.jsonl", f"security-{DAY}.jsonl",
    ]  # fmt: skip


def test_a_file_that_became_shorter_is_named(follower, root):
    write(root, 10)
    follower.step()
    path = root / "system" / f"app-{DAY}.jsonl"
    os.truncate(path, 100)

    assert follower.step() == 0
    assert "shorter" in follower.problems[0]
    path.unlink()
    follower.step()
    assert follower.problems == []


def test_of_two_followers_of_a_host_one_works_at_a_time(follower, index, root):
    write(root, 10)

    with hold(root) as is_ours:
        assert is_ours
        assert follower.step() == 0
    assert follower.step() == 10


def test_the_transaction_that_counts_moves_the_offset_or_nothing_happens(root, index, make_instance):
    instance, _ = make_instance()
    (root / "system" / f"performance-{DAY}.jsonl").write_bytes(call(instance, 1))

    def fail(lines: Any) -> None:
        counting.count(HOST, lines)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Follower(root, HOST, index, fail).step()
    assert stored(instance).usage_count == 0 and rolled_up() == 0 and set(offsets().values()) == {0}

    assert make_follower(root, index).step() == 1
    assert stored(instance).usage_count == 1 and index.count(Query(), 9) == 1


class Program:
    """The program that starts followers which are killed."""

    def __init__(self, settings: Settings, place: str, root: Path, batch: int) -> None:
        command = [sys.executable, "-m", "tests.logs.follower_program", settings.database, place, str(root), HOST]
        self._process = subprocess.Popen(
            [*command, str(batch)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def start(self, kill_at: int = 0) -> int:
        """The process id of a fresh follower."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{kill_at}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def ended(self) -> int:
        """How it ended."""
        assert self._process.stdout
        return int(self._process.stdout.readline())


def counted(instance: Instance, index: LogIndex) -> dict[str, Any]:
    """Everything that must have counted each call once."""
    calls, errors, spans = db.session.execute(
        select(func.sum(UsageRollup.calls), func.sum(UsageRollup.errors), func.sum(UsageRollup.ms_25))
    ).one()
    return {
        "usage": stored(instance).usage_count,
        "rolled up": int(calls),
        "errors": int(errors),
        "durations": int(spans),
        "lines by the hour": rolled_up(category="performance"),
        "numbers": sorted(one.fields["number"] for one in index.stream(Query("category:performance"))),
    }


def expected(count: int, errors: int) -> dict[str, Any]:
    names = ("usage", "rolled up", "durations", "lines by the hour")
    return dict.fromkeys(names, count) | {"errors": errors, "numbers": list(range(count))}


def test_killed_at_any_point_of_its_work_each_line_counts_once(settings, place, index, root, make_instance):
    instance, _ = make_instance()
    db.session.rollback()
    path = root / "system" / f"performance-{DAY}.jsonl"
    killed = written = 0
    rng = random.Random(1)
    with Program(settings, place, root, batch=4) as program:
        for number in range(1, 60):
            with path.open("ab") as file:
                for _ in range(rng.randrange(2, 12)):
                    file.write(call(instance, written, outcome="error" if written % 5 == 0 else "ok"))
                    written += 1
            program.start(kill_at=number * number * 8 + rng.randrange(100))
            if program.ended() == 0:
                break
            killed += 1
    make_follower(root, index).step()

    print(f"killed at {killed} points, {written} calls")
    assert killed >= 15
    assert counted(instance, index) == expected(written, -(-written // 5))


def test_killed_from_outside_while_calls_are_logged_each_line_counts_once(settings, place, index, root, make_instance):
    instance, _ = make_instance()
    db.session.rollback()
    raws = [call(instance, number, outcome="error" if number % 5 == 0 else "ok") for number in range(20_000)]
    files, stop, written = LogFiles(root), threading.Event(), 0

    def log() -> None:
        nonlocal written
        while written < len(raws) and not stop.wait(0.0005):
            for raw in raws[written : written + 7]:
                files.system("performance", NOON, raw)
            written = min(written + 7, len(raws))

    writer = threading.Thread(target=log)
    killed = 0
    with Program(settings, place, root, batch=37) as program:
        writer.start()
        while killed < 15:
            before = sum(offsets().values())
            child = program.start()
            until(lambda before=before: sum(offsets().values()) > before, "the follower moves on")
            os.kill(child, signal.SIGKILL)
            assert program.ended() == -signal.SIGKILL
            killed += 1
        stop.set()
        writer.join()
    last = make_follower(root, index)
    while last.step():
        pass

    print(f"killed {killed} times, {written} calls")
    assert counted(instance, index) == expected(written, -(-written // 5))


def test_two_hosts_share_one_index_and_one_database(app, postgres_url, tmp_path, make_instance):
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    instance, _ = make_instance()
    db.session.rollback()
    hosts = {"aaaaaaaaaaaa": "a", "bbbbbbbbbbbb": "b"}
    for folder in hosts.values():
        path = tmp_path / folder / "logs" / "system" / f"performance-{DAY}.jsonl"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"".join(call(instance, number, host=f"web-{folder}") for number in range(300)))

    def work(host: str, folder: str) -> None:
        follower = make_follower(tmp_path / folder / "logs", PostgresIndex(postgres_url), host)
        with app.app_context():
            while follower.step():
                pass

    threads = [threading.Thread(target=work, args=item) for item in hosts.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    index = PostgresIndex(postgres_url)
    assert index.facets(Query("get_issue"), ["host"], 9) == {"host": [("web-a", 300), ("web-b", 300)]}
    assert stored(instance).usage_count == 600
    assert rolled_up(host="aaaaaaaaaaaa") == rolled_up(host="bbbbbbbbbbbb") == 300


def test_while_the_index_is_away_nothing_is_lost_and_the_log_says_so_once(
    app, settings, place, root, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(following, "PACE_S", 0.02)
    monkeypatch.setattr(following, "_MAX_BACKOFF_S", 0.1)
    with outage(place, tmp_path) as (index, away):
        follower = Counting(root, HOST, index, partial(counting.count, HOST))
        write(root, 5)
        stop = threading.Event()
        thread = threading.Thread(target=follower.run, args=(stop, app.app_context))
        thread.start()
        until(lambda: rolled_up() == 5, "the first lines are taken")

        away(True)
        write(root, 5)
        until(lambda: troubles(caplog), "the trouble is logged")
        tried = follower.tries
        until(lambda: follower.tries > tried + 3, "it is tried again")
        write(root, 5)
        away(False)
        until(lambda: rolled_up() == 15, "the rest is taken")
        stop.set()
        thread.join(10)

    assert not thread.is_alive()
    assert open_index(place).count(Query("said"), 99) == 15
    assert len(troubles(caplog)) == 1


class Counting(Follower):
    """Counts how often it makes a pass."""

    tries = 0

    def step(self) -> int:
        self.tries += 1
        return super().step()


def troubles(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [record for record in caplog.records if record.message == "the log index can not be written"]


def outage(place: str, tmp_path: Path) -> Any:
    """An index, and how to take it away and bring it back."""

    @contextmanager
    def files() -> Iterator[tuple[LogIndex, Callable[[bool], None]]]:
        folder, aside = Path(place), Path(f"{place}-aside")

        def away(is_away: bool) -> None:
            if is_away:
                folder.rename(aside)
                folder.write_text("a file where the folder should be")
            else:
                folder.unlink()
                aside.rename(folder)

        yield SqliteIndex(folder), away

    @contextmanager
    def proxied() -> Iterator[tuple[LogIndex, Callable[[bool], None]]]:
        url = make_url(place)
        with FaultProxy(f"{url.query['host']}/.s.PGSQL.5432") as proxy:
            url = url.set(host="127.0.0.1", port=proxy.port, query={})
            yield (
                PostgresIndex(url.render_as_string(hide_password=False)),
                lambda is_away: proxy.set("refuse" if is_away else "pass"),
            )

    return proxied() if "://" in place else files()


def test_the_index_is_rebuilt_from_the_files_and_nothing_is_counted_again(follower, index, root, make_instance):
    instance, _ = make_instance()
    db.session.rollback()
    (root / "system" / f"performance-{DAY}.jsonl").write_bytes(b"".join(call(instance, n) for n in range(20)))
    write(root, 30, "app", DAY - timedelta(days=1))
    old = root / "system" / f"app-{DAY - timedelta(days=1)}.jsonl"
    follower.step()
    before = [*index.stream(Query()), rolled_up()]
    old.with_name(f"{old.name}.gz").write_bytes(gzip.compress(old.read_bytes()))
    old.unlink()
    for day in index.days():
        index.drop_day(day)

    assert [(done.day, done.lines) for done in rebuild(root, HOST, index)] == [
        (DAY, 20), (DAY - timedelta(days=1), 30),
    ]  # fmt: skip

    assert [*index.stream(Query()), rolled_up()] == before
    assert follower.step() == 0
    assert stored(instance).usage_count == 20

    write(root, 3, "performance")
    list(rebuild(root, HOST, index))
    assert [*index.stream(Query()), rolled_up()] == before, "what was not followed yet is left to the follower"
    assert follower.step() == 3 and rolled_up() == 53

    before = [*index.stream(Query()), rolled_up()]
    assert [done.day for done in rebuild(root, HOST, index, DAY)] == [DAY]
    assert [*index.stream(Query()), rolled_up()] == before


def test_files_that_were_deleted_leave_the_index_and_the_rest_of_their_day_stays(follower, index, root):
    old, older = DAY - timedelta(days=40), DAY - timedelta(days=41)
    for category, day, lines in (("app", old, 5), ("audit", old, 3), ("app", older, 7), ("app", DAY, 2)):
        write(root, lines, category, day)
    follower.step()
    for day in (old, older):
        (root / "system" / f"app-{day}.jsonl").unlink()

    forget(root, HOST, index, [f"app-{old}.jsonl"], DAY - timedelta(days=41))
    assert index.count(Query(equal={"category": ("app",)}), 100) == 9
    forget(root, HOST, index, [], DAY - timedelta(days=30))

    assert index.days() == [DAY, old]
    assert index.count(Query(equal={"category": ("app",)}), 100) == 2
    assert index.count(Query(equal={"category": ("audit",)}), 100) == 3
    assert set(known_files(HOST)) == {f"app-{DAY}.jsonl", f"audit-{old}.jsonl"}
    assert rolled_up() == 5
    assert follower.step() == 0


def test_a_file_that_is_away_for_a_moment_is_not_forgotten(follower, index, root):
    write(root, 5, "app")
    follower.step()
    path = root / "system" / f"app-{DAY}.jsonl"
    path.rename(root / "away")

    forget(root, HOST, index, [], DAY)

    (root / "away").rename(path)
    assert follower.step() == 0 and index.count(Query(), 100) == 5


def test_a_rebuild_that_ends_half_way_lets_the_follower_go_on_and_can_be_done_again(
    follower, index, root, make_instance, monkeypatch
):
    monkeypatch.setattr(log_files, "BATCH", 10)
    instance, _ = make_instance()
    db.session.rollback()
    path = root / "system" / f"performance-{DAY}.jsonl"
    path.write_bytes(b"".join(call(instance, n) for n in range(40)))
    follower.step()
    appended = 0

    def append(*arguments: Any) -> int:
        nonlocal appended
        appended += 1
        if appended == 3:
            raise Unavailable("away")
        return type(index).append(index, *arguments)

    with monkeypatch.context() as patch, pytest.raises(Unavailable):
        patch.setattr(index, "append", append)
        list(rebuild(root, HOST, index))
    with path.open("ab") as file:
        file.write(call(instance, 40))
    assert follower.step() == 1
    assert stored(instance).usage_count == 41

    list(rebuild(root, HOST, index))
    assert counted(instance, index) == {**expected(41, 0), "durations": 41}


def test_the_command_rebuilds_the_index_and_says_what_it_did(app, environ, settings, process_state, monkeypatch):
    root, day = settings.home / "logs", date(2020, 1, 1)
    (root / "system").mkdir(parents=True, exist_ok=True)
    write(root, 12, "app", day)
    follower = make_follower(root, index_of(settings), host_id(settings.home / "run"))
    while follower.step():
        pass
    index_of(settings).drop_day(day)

    result = CliRunner().invoke(cli, ["logs", "rebuild-index", "--day", str(day)], env=environ, catch_exceptions=False)

    assert (result.exit_code, result.output) == (0, "2020-01-01: 12 lines\n")
    assert index_of(settings).count(Query(until=NOON - timedelta(days=900)), 99) == 12
    (root / "system" / f"app-{day}.jsonl").unlink()
    index_of(settings).drop_day(day)
