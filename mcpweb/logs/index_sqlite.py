"""The log index of one host in SQLite: a file a day, so that forgetting a day frees its space at once."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from mcpweb import clock
from mcpweb.logs import day_file
from mcpweb.logs.index import MAX_ID, Cursor, Found, LogIndex, Row, Spans, TooBroad, ranked
from mcpweb.logs.index_line import DAY_MS, IndexLine, day_ms, loads
from mcpweb.logs.index_sqlite_where import bounds, columns, where
from mcpweb.logs.query import COLUMNS, Plan, Query, read
from mcpweb.logs.tally import SPAN_MS

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
            fits = where(plan, day, connection, low, high)
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

    def newest(self, query: Query, columns: Sequence[str], most: int) -> list[Row]:
        """Day by day, until there are enough."""
        found = list[Row]()
        names = ", ".join(f"line.{COLUMNS[COLUMNS.index(name)]}" for name in columns)

        def rows(connection: sqlite3.Connection, day: date) -> list[Row]:
            fits = where(plan, day, connection)
            ts = f"{day_ms(day)} + ({fits.key} >> {day_file.MS_SHIFT})"
            statement = f"SELECT {ts}, {names} {fits.sql} ORDER BY {fits.key} DESC LIMIT ?"
            return connection.execute(statement, (*fits.values, most - len(found))).fetchall()

        plan = read(query)
        for _, some in self._each_day(plan, rows):
            found += some
            if len(found) >= most:
                break
        return found

    def sample(self, spans: Sequence[tuple[int, int]]) -> list[tuple[int, str, str]]:
        """A look at the lines of each span."""
        statement = "SELECT key, category, line FROM line WHERE key >= ? AND key < ?"

        def some(connection: sqlite3.Connection, day: date) -> list[tuple[int, str, str]]:
            found = list[tuple[int, str, str]]()
            for since, until in spans:
                if since < day_ms(day) + DAY_MS and until > day_ms(day):
                    keys = day_file.start_key(day, since), day_file.start_key(day, until)
                    rows = connection.execute(statement, keys)
                    found += [(day_file.ts_of(key, day), *rest) for key, *rest in rows]
            return found

        plan = read(Query()).since(min(spans, default=(0, 0))[0]).until(max(spans, default=(0, 0))[1])
        return [one for _, found in self._each_day(plan, some) for one in found]

    def _counted(self, plan: Plan, width_ms: int) -> Spans:
        """A pass over the lines that fit."""
        # The day's own milliseconds in the smallest parts that spans of any width and days have in common.
        part = math.gcd(width_ms, DAY_MS)
        statement = f"SELECT (line.key >> {day_file.MS_SHIFT}) / {part}, line.level, count(*) {{}} GROUP BY 1, 2"
        totals = Counter[tuple[int, str]]()
        for day, rows in self._each(plan, statement):
            for number, level, lines in rows:
                totals[(day_ms(day) + number * part) // width_ms, level] += lines
        return totals

    def _tallied(self, plan: Plan, width_ms: int) -> Spans:
        """A pass over the tallies; in a day that has none, over its lines."""
        conditions, values = columns(plan, "")
        totals = Counter[tuple[int, str]]()

        def ask(connection: sqlite3.Connection, day: date) -> list[Any]:
            if day_file.version(connection) == day_file.VERSION:
                low, high = (at // SPAN_MS for at in bounds(plan, day))
                fits = " AND ".join(["span >= ?", "span < ?", *conditions])
                statement = f"SELECT span, level, sum(lines) FROM tally WHERE {fits} GROUP BY 1, 2"
                return connection.execute(statement, (low, high, *values)).fetchall()
            lines = where(plan, day, connection)
            span = f"{day_ms(day) // SPAN_MS} + (line.key >> {day_file.MS_SHIFT}) / {SPAN_MS}"
            statement = f"SELECT {span}, level, count(*) {lines.sql} GROUP BY 1, 2"
            return connection.execute(statement, lines.values).fetchall()

        for _, rows in self._each_day(plan, ask):
            for span, level, lines in rows:
                totals[span * SPAN_MS // width_ms, level] += lines
        return totals

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
            fits = where(plan, day, connection)
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


@contextmanager
def _reading(path: Path, deadline: float) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5, isolation_level=None)) as connection:
        connection.set_progress_handler(lambda: clock.monotonic() > deadline, _STEPS)
        yield connection


def _found(line_id: int, ts: int, line: str) -> Found:
    return Found(line_id, ts, loads(line) or {})
