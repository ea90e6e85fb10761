"""Charts and facets of very many lines: the same as counting line by line, or a fair estimate that says so."""

from __future__ import annotations

import itertools
import random
import sqlite3
import threading
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from mcpweb.logs import index_postgres, overview
from mcpweb.logs.index import Bar, LogIndex
from mcpweb.logs.index_line import EPOCH, IndexLine, parse
from mcpweb.logs.index_postgres import PostgresIndex
from mcpweb.logs.index_postgres_tables import SCHEMA
from mcpweb.logs.index_sqlite import SqliteIndex
from mcpweb.logs.overview import fits
from mcpweb.logs.query import COLUMNS, Query, read
from tests.logs.index_lines import DAY, NOON, encoded
from tests.logs.test_index import index

__all__ = ["index"]

MS = timedelta(milliseconds=1)
HALF_HOUR = timedelta(minutes=30)
START = datetime(DAY.year, DAY.month, DAY.day, tzinfo=NOON.tzinfo)
EDGES = [
    START,
    START + timedelta(hours=2),
    START + timedelta(hours=2, minutes=5),
    START + timedelta(hours=2, microseconds=1000),
    START + timedelta(hours=2, minutes=4, seconds=59, milliseconds=999),
    START + timedelta(hours=23, minutes=57),
    START + timedelta(days=1),
    START + timedelta(days=1, minutes=7),
]
FILTERS = [
    {},
    {"equal": {"level": ("error", "warning")}},
    {"unequal": {"level": ("info",)}},
    {"equal": {"category": ("app",), "host": ("web1",)}},
    {"equal": {"category": ("app", "audit")}, "unequal": {"host": ("web2", "web3")}},
    {"text": "level:error -host:web2"},
    {"equal": {"level": ()}},
    {"text": "garden"},
    {"equal": {"tool": ("a",)}},
]


class Filled:
    """An index with known lines of three days, and those lines."""

    def __init__(self, index: LogIndex) -> None:
        self.index, self.lines, self._offsets = index, list[IndexLine](), Counter[int]()
        self._rng = random.Random(7)

    def add(self, count: int, day: int, first: datetime | None = None, span: timedelta = timedelta(days=1)) -> None:
        """Lines of two files of a day, some of them at the very edges of five minutes, in one batch a file."""
        rng, start = self._rng, first or START + timedelta(days=day)
        for number, category in enumerate(("app", "audit")):
            file_id, found = 10 * day + number + 1, list[IndexLine]()
            for _ in range(count // 2):
                at = start + timedelta(milliseconds=rng.randrange(span // timedelta(milliseconds=1)))
                if rng.random() < 0.2:
                    at -= (at - EPOCH) % timedelta(minutes=5)
                raw = encoded(
                    at, rng.choice(("garden gate", "fence")), category,
                    level=rng.choice(("info", "info", "error", "warning")), host=rng.choice(("web1", "web2", "web3")),
                    tool=rng.choice(("a", "b")), user_id=rng.randrange(9),
                )  # fmt: skip
                line = parse(raw.rstrip(b"\n"), self._offsets[file_id], category, at.date())
                assert line is not None
                found.append(line)
                self._offsets[file_id] += len(raw)
            self.index.append(file_id, (start).date(), found)
            self.lines += found

    def bars(self, query: Query, width: timedelta) -> list[Bar]:
        """Counted line by line, without any database."""
        plan, totals = read(query), Counter[tuple[datetime, str]]()
        for line in self.lines:
            if plan.reaches(line.ts, line.ts + 1) and fits(plan, line):
                at = EPOCH + timedelta(milliseconds=line.ts)
                totals[at - (at - EPOCH) % width, line.columns[1]] += 1
        return [(start, level, lines) for (start, level), lines in sorted(totals.items())]


@pytest.fixture
def filled(index: LogIndex) -> Filled:
    made = Filled(index)
    for day in (0, 1, 2):
        made.add(300, day)
        made.add(40, day, START + timedelta(days=day, hours=2), timedelta(minutes=10))
    return made


def same(filled: Filled) -> None:
    """Between all pairs of edges, with one filter after the other."""
    pairs = itertools.product((None, *EDGES), (None, *EDGES))
    for (since, until), rest in zip(pairs, itertools.cycle([*FILTERS, {}]), strict=False):
        query = Query(since=since, until=until, **rest)  # type: ignore[arg-type]
        assert filled.index.histogram(query, HALF_HOUR) == filled.bars(query, HALF_HOUR), query


def test_bars_are_as_if_counted_line_by_line_wherever_the_range_begins_and_ends(filled):
    same(filled)
    for width in (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=7), timedelta(days=7)):
        query = Query(since=EDGES[3], until=EDGES[7])
        assert filled.index.histogram(query, width) == filled.bars(query, width)


def test_lines_that_come_again_are_not_counted_twice_and_those_of_a_day_that_is_gone_not_at_all(filled):
    app = [line for line in filled.lines if line.columns[0] == "app" and line.ts < (START - EPOCH + timedelta(1)) // MS]
    late = parse(encoded(NOON, "late", "app").rstrip(b"\n"), 10**6, "app", DAY)
    assert late is not None
    filled.lines.append(late)
    assert filled.index.append(1, DAY, [*app, late]) == 1
    assert filled.index.histogram(Query(), HALF_HOUR) == filled.bars(Query(), HALF_HOUR)

    filled.index.drop_day(DAY)
    filled.lines = [
        line for line in filled.lines if line not in (*app, late) and line.ts >= (START - EPOCH + timedelta(1)) // MS
    ]
    assert filled.index.histogram(Query(), HALF_HOUR) == filled.bars(Query(), HALF_HOUR) != []


def test_a_day_that_is_built_anew_is_counted_anew(filled):
    day = [line for line in filled.lines if line.ts < (START - EPOCH + timedelta(1)) // MS]
    files = {number: [line for line in day if line.columns[0] == name] for number, name in ((1, "app"), (2, "audit"))}

    filled.index.clear(DAY, [1, 2])
    assert filled.index.histogram(Query(until=EDGES[6]), HALF_HOUR) == []
    for file_id, lines in files.items():
        assert filled.index.append(file_id, DAY, lines) == len(lines)

    assert filled.index.histogram(Query(), HALF_HOUR) == filled.bars(Query(), HALF_HOUR)


def test_what_one_host_takes_out_leaves_the_counts_of_another_one(postgres_url):
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    filled = Filled(PostgresIndex(postgres_url))
    filled.add(200, 0)
    filled.add(200, 1)

    filled.index.clear(DAY, [1])

    filled.lines = [
        line for line in filled.lines if line.columns[0] == "audit" or line.ts >= (START - EPOCH + timedelta(1)) // MS
    ]
    assert filled.index.histogram(Query(), HALF_HOUR) == filled.bars(Query(), HALF_HOUR)


def test_while_lines_come_in_the_bars_and_the_lines_tell_the_same(index):
    stop, filled = threading.Event(), Filled(index)
    filled.add(20, 0)

    def write() -> None:
        while not stop.is_set():
            filled.add(20, 0)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(20):
            before = index.count(Query(), 10**6)
            between = sum(lines for _, _, lines in index.histogram(Query(), HALF_HOUR))
            assert before <= between <= index.count(Query(), 10**6)
    finally:
        stop.set()
        writer.join()
    assert index.histogram(Query(), HALF_HOUR) == filled.bars(Query(), HALF_HOUR)


def test_the_newest_lines_come_with_the_values_that_are_asked_for(filled, monkeypatch):
    for rest in FILTERS:
        plan = read(Query(**rest))  # type: ignore[arg-type]
        every = sorted((line.ts for line in filled.lines if fits(plan, line)), reverse=True)
        rows = filled.index.newest(Query(**rest), ["level", "host"], 200)  # type: ignore[arg-type]
        assert [row[0] for row in rows] == every[:200], rest
        monkeypatch.setattr(index_postgres, "_NEAR", 200)  # of few the first look must not be all
        assert filled.index.newest(Query(**rest), ["level", "host"], 200) == rows, rest  # type: ignore[arg-type]
        monkeypatch.undo()
    newest = max(filled.lines, key=lambda line: line.ts)
    assert filled.index.newest(Query(), COLUMNS, 1)[0][0] == newest.ts


def test_a_sample_has_all_lines_of_its_spans_and_no_others(filled):
    first = (START - EPOCH) // MS
    spans = [(first + hour * 3_600_000, first + hour * 3_600_000 + 300_000) for hour in range(0, 60, 7)]

    found = filled.index.sample(spans)

    expected = [line for line in filled.lines if any(since <= line.ts < until for since, until in spans)]
    assert sorted(found) == sorted((line.ts, line.columns[0], line.raw) for line in expected) != []
    assert filled.index.sample([]) == []


def test_the_bars_of_very_many_lines_are_a_fair_estimate(filled, monkeypatch):
    monkeypatch.setattr(overview, "MOST_COUNTED", 100)
    monkeypatch.setattr(overview, "_SAMPLE", 700)
    query, width = Query("garden -host:web2", since=START, until=START + timedelta(days=3)), timedelta(hours=12)

    bars, is_estimate = overview.histogram(filled.index, query, width, filled.index.newest(query, ["level"], 50))

    right = filled.bars(query, width)
    assert is_estimate and {bar[:2] for bar in bars} == {bar[:2] for bar in right}
    assert sum(bar[2] for bar in bars) == pytest.approx(sum(bar[2] for bar in right), rel=0.25)
    monkeypatch.undo()
    assert overview.histogram(filled.index, query, width, filled.index.newest(query, ["level"], 50)) == (right, False)


def test_both_databases_estimate_the_same(tmp_path, postgres_url, monkeypatch):
    monkeypatch.setattr(overview, "MOST_COUNTED", 10)
    monkeypatch.setattr(overview, "_SAMPLE", 60)
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    told = []
    for kind in (SqliteIndex(tmp_path), PostgresIndex(postgres_url)):
        Filled(kind).add(600, 0)
        for text in ("garden", "-fence", "tool:b gar*"):
            rows = kind.newest(Query(text), ["level"], 50)
            told.append(overview.histogram(kind, Query(text), HALF_HOUR, rows))

    assert told[:3] == told[3:] and all(is_estimate for _, is_estimate in told)


def old_layout(path: Path) -> None:
    """Make a day's file as the first version wrote it: without counts, and with the words of the text alone."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT key, category, line FROM line").fetchall()
        connection.executescript(
            "DROP TABLE words; DROP TABLE tally; PRAGMA user_version = 1;"
            "CREATE VIRTUAL TABLE words USING fts5(text, content='', columnsize=0, tokenize='ascii');"
        )
        for key, category, raw in rows:
            line = parse(raw.encode(), 0, category, DAY)
            assert line is not None
            connection.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (key, line.words))
    connection.close()


def test_a_day_of_the_first_layout_is_read_and_added_to_as_before(tmp_path):
    filled = Filled(SqliteIndex(tmp_path))
    filled.add(200, 0)
    filled.add(200, 1)
    old_layout(tmp_path / f"{DAY}.sqlite3")
    filled.add(100, 0)

    same(filled)
    for rest in (*FILTERS, {"text": "-garden"}, {"text": "garden -level:info"}):
        rows = filled.index.newest(Query(**rest), ["level"], 1000)  # type: ignore[arg-type]
        assert len(rows) == sum(fits(read(Query(**rest)), line) for line in filled.lines), rest  # type: ignore[arg-type]


def test_an_index_of_lines_without_counts_is_counted_when_it_is_first_used(postgres_url):
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        filled = Filled(PostgresIndex(postgres_url))
        filled.add(200, 0)
        connection.execute(f"DROP TABLE {SCHEMA}.tally")

    filled.index = PostgresIndex(postgres_url)
    filled.add(100, 0)

    assert filled.index.histogram(Query(), HALF_HOUR) == filled.bars(Query(), HALF_HOUR)


def test_a_line_that_is_long_in_every_column_goes_in_and_is_counted(index):
    rng = random.Random(3)  # what repeats itself would be compressed
    values = {name: "".join(chr(rng.randrange(0x10000, 0x1FFFF)) for _ in range(190)) for name in COLUMNS[2:]}
    raw = encoded(NOON, "long", level="error", number=1, **values)
    line = parse(raw.rstrip(b"\n"), 0, "app", DAY)
    assert line is not None

    assert index.append(1, DAY, [line]) == 1

    assert index.search(Query("long"), limit=1)[0].fields["tool"] == values["tool"]
    assert index.histogram(Query("level:error"), HALF_HOUR) == [(NOON, "error", 1)]
