"""The log index of one host in SQLite: a file a day, so that forgetting a day frees its space at once."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from mcpweb import clock
from mcpweb.logs import day_file
from mcpweb.logs.index import MAX_ID, Bar, Cursor, Found, LogIndex, TooBroad, bars, ranked
from mcpweb.logs.index_line import DAY_MS, IndexLine, day_ms, loads
from mcpweb.logs.query import COLUMNS, Plan, Query, Term, read
from mcpweb.logs.search_text import normalise

T = TypeVar("T")

_STEPS = 5000
"""Of SQLite's virtual machine between two looks at the clock; well below a millisecond."""


class SqliteIndex(LogIndex):
    """Files named after their day in one folder, which is made when the first line comes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._problems: dict[str, str] = {}

    def append(self, file_id: int, day: date, lines: Sequence[IndexLine]) -> int:
        """Add lines to their day's file."""
        return day_file.append(self._path(day), file_id, day, lines)

    def search(
        self, query: Query, *, limit: int, before: Cursor | None = None, after: Cursor | None = None
    ) -> list[Found]:
        """Day by day, until there are enough."""
        plan, found = read(query), list[Found]()
        order = "DESC" if after is None else "ASC"
        if before is not None:
            plan = plan.until(before.ts + 1)
        if after is not None:
            plan = plan.since(after.ts)

        def page(connection: sqlite3.Connection, day: date) -> list[Found]:
            low = day_file.key_of(connection, day, after) + 1 if after else 0
            high = day_file.key_of(connection, day, before) if before else None
            fits = _where(plan, day, low, high)
            statement = f"SELECT line.key, line.id, line.line {fits.sql} ORDER BY {fits.key} {order} LIMIT ?"
            rows = connection.execute(statement, (*fits.values, limit - len(found)))
            return [_found(line_id, day_file.ts_of(key, day), line) for key, line_id, line in rows]

        for _, some in self._each_day(plan, page, oldest_first=after is not None):
            found += some
            if len(found) >= limit:
                break
        return found if after is None else found[::-1]

    def count(self, query: Query, most: int) -> int:
        """Day by day, until there are `most`."""
        total = 0
        for _, rows in self._each(read(query), f"SELECT count(*) FROM (SELECT 1 {{}} LIMIT {most:d})"):
            total += rows[0][0]
            if total >= most:
                return most
        return total

    def facets(self, query: Query, columns: Sequence[str], most: int) -> dict[str, list[tuple[str, int]]]:
        """A pass over the lines that fit for each column."""
        plan, found = read(query), {}
        for name in columns:
            statement = f"SELECT line.{COLUMNS[COLUMNS.index(name)]}, count(*) {{}} GROUP BY 1"
            totals = Counter[str]()
            for _, rows in self._each(plan, statement):
                totals.update(dict(rows))
            found[name] = ranked(totals, most)
        return found

    def histogram(self, query: Query, bucket: timedelta) -> list[Bar]:
        """A pass over the lines that fit."""
        width = bucket // timedelta(milliseconds=1)
        totals = Counter[tuple[int, str]]()
        # The day's own milliseconds in the smallest parts that spans of any width and days have in common.
        part = math.gcd(width, DAY_MS)
        statement = f"SELECT (line.{day_file.MS_OF_DAY}) / {part}, line.level, count(*) {{}} GROUP BY 1, 2"
        for day, rows in self._each(read(query), statement):
            for number, level, lines in rows:
                totals[(day_ms(day) + number * part) // width, level] += lines
        return bars(totals, width)

    def find(self, line_id: int) -> Found | None:
        """Looked for in every day, newest first."""
        if not 0 <= line_id <= MAX_ID:
            return None

        def one(connection: sqlite3.Connection, day: date) -> list[Found]:
            rows = connection.execute("SELECT key, id, line FROM line WHERE id = ?", (line_id,))
            return [_found(found, day_file.ts_of(key, day), line) for key, found, line in rows]

        everything = read(Query())
        return next((found for _, some in self._each_day(everything, one) for found in some), None)

    def days(self) -> list[date]:
        """The days with a file, newest first."""
        found = []
        for path in self._folder.glob("????-??-??.sqlite3"):
            try:
                found.append(date.fromisoformat(path.stem))
            except ValueError:
                continue
        return sorted(found, reverse=True)

    def clear(self, day: date, file_ids: Sequence[int]) -> None:
        """Remove the day's file: with SQLite there is one host, so all of it is meant."""
        self.drop_day(day)

    def drop_day(self, day: date) -> None:
        """Remove the day's file."""
        day_file.remove(self._path(day))

    @property
    def problems(self) -> list[str]:
        """A sentence for each file that could not be read the last time."""
        return [f"{name}: {reason}" for name, reason in sorted(dict(self._problems).items())]

    def _path(self, day: date) -> Path:
        return self._folder / f"{day.isoformat()}.sqlite3"

    def _each(self, plan: Plan, statement: str) -> Iterator[tuple[date, list[Any]]]:
        """Each day that the plan reaches with the rows of a statement, in which `{}` stands for FROM and WHERE."""

        def ask(connection: sqlite3.Connection, day: date) -> list[Any]:
            fits = _where(plan, day)
            return connection.execute(statement.format(fits.sql), fits.values).fetchall()

        return self._each_day(plan, ask)

    def _each_day(
        self, plan: Plan, ask: Callable[[sqlite3.Connection, date], list[T]], *, oldest_first: bool = False
    ) -> Iterator[tuple[date, list[T]]]:
        """Each day that the plan reaches with what `ask` finds there; what can not be read is noted and left out."""
        deadline = clock.monotonic() + self.budget_s
        days = [day for day in self.days() if plan.reaches(day_ms(day), day_ms(day) + DAY_MS)]
        for day in reversed(days) if oldest_first else days:
            path = self._path(day)
            try:
                with _reading(path, deadline) as connection:
                    found = ask(connection, day)
            except sqlite3.Error as error:
                if getattr(error, "sqlite_errorname", "") == "SQLITE_INTERRUPT":
                    raise TooBroad from None
                if path.exists():  # else it was dropped meanwhile
                    self._problems[path.name] = str(error)
                continue
            self._problems.pop(path.name, None)
            yield day, found


class _Fits(NamedTuple):
    """The end of a SELECT of lines: FROM and WHERE with its values, and which column has the key."""

    sql: str
    values: tuple[Any, ...]
    key: str


@contextmanager
def _reading(path: Path, deadline: float) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5, isolation_level=None)) as connection:
        connection.set_progress_handler(lambda: clock.monotonic() > deadline, _STEPS)
        yield connection


def _where(plan: Plan, day: date, low: int = 0, high: int | None = None) -> _Fits:
    """What the plan means for a day, between two keys; the second is not included."""
    low = max(low, 0 if plan.since_ms is None else day_file.start_key(day, plan.since_ms))
    until = day_file.start_key(day, day_ms(day) + DAY_MS if plan.until_ms is None else plan.until_ms)
    high = until if high is None else min(high, until)
    wanted = [_phrase(term) for term in plan.wanted]
    if wanted:
        # The words of these are in the text of the line too, and make a search for a frequent word short.
        wanted += [_phrase(term) for name in ("instance", "request_id") for term in _same(plan.equal.get(name, ()))]
    unwanted = " OR ".join(_phrase(term) for term in plan.unwanted)
    key, source, values = "line.key", "FROM line WHERE", list[Any]()
    if wanted:
        key, source = "words.rowid", "FROM words CROSS JOIN line ON line.key = words.rowid WHERE words MATCH ? AND"
        values.append(" AND ".join(wanted))
    conditions = [f"{key} >= ?", f"{key} < ?"]
    values += [low, high]
    if unwanted:
        conditions.append(f"{key} NOT IN (SELECT rowid FROM words WHERE words MATCH ?)")
        values.append(unwanted)
    for wish, operators in ((plan.equal, ("=", "IN")), (plan.unequal, ("<>", "NOT IN"))):
        for name, some in wish.items():
            # Only a few columns are worth an index: those with many values, and the level for the rare ones.
            marks = "?" if len(some) == 1 else f"({', '.join('?' * len(some))})"
            conditions.append(f"line.{name} {operators[len(some) != 1]} {marks}")
            values += some
    return _Fits(f"{source} {' AND '.join(conditions)}", tuple(values), key)


def _phrase(term: Term) -> str:
    """Words hold letters and digits only, so that quotes make a string of them that FTS5 can not misread."""
    return f'"{" ".join(term.words)}"{"*" if term.is_prefix else ""}'


def _same(values: Sequence[str]) -> list[Term]:
    words = tuple(normalise(values[0]).split()) if len(values) == 1 else ()
    return [Term(words)] if words else []


def _found(line_id: int, ts: int, line: str) -> Found:
    return Found(line_id, ts, loads(line) or {})
