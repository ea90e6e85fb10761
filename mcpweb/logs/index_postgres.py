"""The log index in PostgreSQL: one table for all hosts, a partition a day. Uses built-in features only.

It makes its tables itself, in a schema of its own, since it may live in another database than the rest. The words of a
line are handed over as they are: the parser of PostgreSQL would make others of some, and takes longer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from typing import Any

import psycopg
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import InterfaceError, OperationalError

from mcpweb.errors import Unavailable
from mcpweb.logs.index import MAX_ID, OFFSET_BITS, Cursor, Found, LogIndex, Row, Spans, TooBroad, ranked
from mcpweb.logs.index_line import DAY_MS, IndexLine, day_ms, loads
from mcpweb.logs.index_postgres_tables import ADD_TALLY, CREATE, CREATE_TALLIES, LINES, SCHEMA, TALLIES
from mcpweb.logs.index_postgres_where import lexemes, where
from mcpweb.logs.query import COLUMNS, Plan, Query, read
from mcpweb.logs.tally import SPAN_MS, in_spans, tally

_LOCK = f"SELECT pg_advisory_xact_lock(hashtextextended('{SCHEMA}', 0))"
_COPY = f"COPY {LINES} (id, ts, {', '.join(COLUMNS)}, line, words) FROM STDIN"
_SHORT = "SET LOCAL jit = off; SET LOCAL work_mem = '16MB'; SET LOCAL random_page_cost = 1.5"
"""What is asked is over before a compiler has begun; and lines of a day are in the memory, or near."""
_PREFIX = "line_"
_FIRST, _NEAR = 10_000, 150_000
"""So many of the newest lines are looked at first, and at most, before the index of words is asked."""


class PostgresIndex(LogIndex):
    """Any number of hosts write to it and read from it."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(
            url,
            pool_size=2,
            max_overflow=8,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={"connect_timeout": 3},
        )
        self._is_prepared = False

    def append(self, file_id: int, day: date, lines: Sequence[IndexLine]) -> int:
        """Load lines with COPY into their day's partition."""
        first_id = file_id << OFFSET_BITS
        with self._connection(None) as connection:
            self._make_partition(connection, day)
            newest = f"SELECT max(id) FROM {_partition(day)} WHERE id >= %s AND id < %s"
            last_id = _rows(connection, newest, (first_id, (file_id + 1) << OFFSET_BITS))[0][0]
            fresh = [line for line in lines if last_id is None or first_id | line.offset > last_id]
            if fresh:
                driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
                with driver.cursor() as cursor:
                    with cursor.copy(_COPY) as copy:
                        for line in fresh:
                            copy.write_row(
                                (first_id | line.offset, line.ts, *line.columns, line.raw, lexemes(line.words))
                            )
                    cursor.executemany(
                        ADD_TALLY, [(span, file_id, *place, lines) for (span, *place), lines in tally(fresh).items()]
                    )
        return len(fresh)

    def search(
        self, query: Query, *, limit: int, before: Cursor | None = None, after: Cursor | None = None
    ) -> list[Found]:
        """As many as there are next to the cursor."""
        plan, order, beyond, values = read(query), "DESC", "", tuple[Any, ...]()
        if before is not None:
            plan, beyond, values = plan.until(before.ts + 1), " AND (ts, id) < (%s, %s)", before
        if after is not None:
            plan, beyond, values, order = plan.since(after.ts), " AND (ts, id) > (%s, %s)", after, "ASC"
        rows = self._first(plan, "id, ts, line", limit, order, beyond, values)
        found = [Found(line_id, ts, loads(line) or {}) for line_id, ts, line in rows]
        return found if after is None else found[::-1]

    def count(self, query: Query, most: int) -> int:
        """Stops counting at `most`."""
        return int(self._ask(query, "SELECT count(*) FROM (SELECT 1 {} LIMIT %s) AS fits", most)[0][0])

    def facets(self, query: Query, columns: Sequence[str], most: int) -> dict[str, list[tuple[str, int]]]:
        """A pass over the lines that fit for each column."""
        found = {}
        for name in columns:
            column = COLUMNS[COLUMNS.index(name)]
            rows = self._ask(query, f"SELECT {column}, count(*) {{}} GROUP BY 1")
            found[name] = ranked(dict(map(tuple, rows)), most)
        return found

    def newest(self, query: Query, columns: Sequence[str], most: int) -> list[Row]:
        """As many as there are."""
        names = ", ".join(["ts", *(COLUMNS[COLUMNS.index(name)] for name in columns)])
        return list(map(tuple, self._first(read(query), names, most)))

    def _first(
        self, plan: Plan, columns: str, most: int, order: str = "DESC", beyond: str = "", place: tuple[Any, ...] = ()
    ) -> Sequence[Any]:
        """The first lines that fit, by time; of words it does not leave to PostgreSQL's guess how frequent they are.

        So many lines in a row are looked at as should have enough that fit. Rarer ones are gathered by the index of
        words and then sorted: OFFSET 0 keeps PostgreSQL from walking through time until it has found so many.
        """
        by_time = f"ORDER BY ts {order}, id {order} LIMIT %s"
        fits, fitting = where(plan)
        with self._connection() as connection:
            if not (plan.wanted or plan.unwanted):
                statement = f"SELECT {columns} FROM {LINES} {fits}{beyond} {by_time}"
                return _rows(connection, statement, (*fitting, *place, most))
            times, at = where(replace(plan, wanted=(), unwanted=(), equal={}, unequal={}))
            here, being = where(replace(plan, since_ms=None, until_ms=None))
            near = f"SELECT {columns} FROM (SELECT * FROM {LINES} {times}{beyond} {by_time}) AS near {here} {by_time}"
            depth = _FIRST
            while depth <= _NEAR:
                rows = _rows(connection, near, (*at, *place, depth, *being, most))
                if len(rows) == most:
                    return rows
                depth = max(4 * depth, int(1.3 * depth * most / max(len(rows), 1)))
            statement = f"SELECT {columns} FROM (SELECT * FROM {LINES} {fits}{beyond} OFFSET 0) AS every {by_time}"
            return _rows(connection, statement, (*fitting, *place, most))

    def sample(self, spans: Sequence[tuple[int, int]]) -> list[tuple[int, str, str]]:
        """One statement, in which each span is a look into the index by time."""
        statement = (
            "SELECT found.* FROM unnest(%s::bigint[], %s::bigint[]) AS span (since, until), "
            f"LATERAL (SELECT ts, category, line FROM {LINES} WHERE ts >= since AND ts < until OFFSET 0) AS found"
        )
        with self._connection() as connection:
            return list(map(tuple, _rows(connection, statement, ([a for a, _ in spans], [b for _, b in spans]))))

    def _counted(self, plan: Plan, width_ms: int) -> Spans:
        """A pass over the lines that fit."""
        fits, values = where(plan)
        return self._spans(f"SELECT ts / {width_ms:d}, level, count(*) FROM {LINES} {fits} GROUP BY 1, 2", values)

    def _tallied(self, plan: Plan, width_ms: int) -> Spans:
        """A pass over the tallies."""
        fits, values = where(in_spans(plan), "span")
        span = f"span * {SPAN_MS} / {width_ms:d}"
        return self._spans(f"SELECT {span}, level, sum(lines)::bigint FROM {TALLIES} {fits} GROUP BY 1, 2", values)

    def _spans(self, statement: str, values: tuple[Any, ...]) -> Spans:
        with self._connection() as connection:
            return {(number, level): lines for number, level, lines in _rows(connection, statement, values)}

    def find(self, line_id: int) -> Found | None:
        """Looked for in every partition."""
        if not 0 <= line_id <= MAX_ID:
            return None
        with self._connection() as connection:
            rows = _rows(connection, f"SELECT id, ts, line FROM {LINES} WHERE id = %s", (line_id,))
        return next((Found(found, ts, loads(line) or {}) for found, ts, line in rows), None)

    def days(self) -> list[date]:
        """The days with a partition, newest first."""
        with self._connection() as connection:
            names = _rows(
                connection,
                "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
                f"WHERE inhparent = '{LINES}'::regclass",
                (),
            )
        return sorted((date.fromisoformat(name.removeprefix(_PREFIX)) for (name,) in names), reverse=True)

    def clear(self, day: date, file_ids: Sequence[int]) -> None:
        """Delete the lines of these files, and the partition when nothing is left in it."""
        with self._connection(None) as connection:
            self._make_partition(connection, day)
            for file_id in file_ids:
                statement = f"DELETE FROM {_partition(day)} WHERE id >= %s AND id < %s"
                connection.exec_driver_sql(statement, (file_id << OFFSET_BITS, (file_id + 1) << OFFSET_BITS))
            _forget(connection, day, "AND file_id = ANY(%s)", list(file_ids))
            connection.exec_driver_sql(_LOCK)
            connection.exec_driver_sql(f"LOCK TABLE {_partition(day)}")  # another host may be about to commit lines
            if not connection.exec_driver_sql(f"SELECT EXISTS (SELECT FROM {_partition(day)})").scalar():
                connection.exec_driver_sql(f"DROP TABLE {_partition(day)}")

    def drop_day(self, day: date) -> None:
        """Drop the day's partition, of all hosts."""
        with self._connection(None) as connection:
            connection.exec_driver_sql(_LOCK)
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {_partition(day)}")
            _forget(connection, day)

    def _ask(self, query: Query, statement: str, *values: Any) -> Sequence[Any]:
        """The rows of a statement, in which `{}` stands for FROM and WHERE."""
        fits, fitting = where(read(query))
        with self._connection() as connection:
            return _rows(connection, statement.format(f"FROM {LINES} {fits}"), (*fitting, *values))

    @contextmanager
    def _connection(self, budget_s: float | None = 0) -> Iterator[Connection]:
        """A transaction of which each statement has the time of a search; None: as long as it takes."""
        try:
            self._prepare()
            with self._engine.begin() as connection:
                if budget_s is not None:
                    limit = f"SET LOCAL statement_timeout = {max(1, int(self.budget_s * 1000)):d}"
                    connection.exec_driver_sql(f"{limit}; {_SHORT}")
                yield connection
        except (OperationalError, InterfaceError) as error:
            if isinstance(error.orig, psycopg.errors.QueryCanceled):
                raise TooBroad from None
            raise Unavailable("The log index does not answer at the moment.") from error

    def _prepare(self) -> None:
        if not self._is_prepared:
            with self._engine.begin() as connection:
                connection.exec_driver_sql(_LOCK)  # of two at once, CREATE … IF NOT EXISTS fails one
                connection.exec_driver_sql(CREATE)
                if _rows(connection, "SELECT to_regclass(%s)", (TALLIES,))[0][0] is None:
                    connection.exec_driver_sql(CREATE_TALLIES)
            self._is_prepared = True

    def _make_partition(self, connection: Connection, day: date) -> None:
        name, start = _partition(day), day_ms(day)
        if _rows(connection, "SELECT to_regclass(%s)", (name,))[0][0] is None:
            connection.exec_driver_sql(_LOCK)
            connection.exec_driver_sql(
                f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF {LINES} "
                f"FOR VALUES FROM ({start}) TO ({start + DAY_MS})"
            )


def _partition(day: date) -> str:
    return f"{SCHEMA}.{_PREFIX}{day:%Y%m%d}"


def _forget(connection: Connection, day: date, which: str = "", *values: Any) -> None:
    """Take the tallies of a day out."""
    first = day_ms(day) // SPAN_MS
    statement = f"DELETE FROM {TALLIES} WHERE span >= %s AND span < %s {which}"
    connection.exec_driver_sql(statement, (first, first + DAY_MS // SPAN_MS, *values))


def _rows(connection: Connection, statement: str, values: tuple[Any, ...]) -> Sequence[Any]:
    return connection.exec_driver_sql(statement, values).fetchall()
