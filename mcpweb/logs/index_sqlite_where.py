"""What a plan means for one day of the log index in SQLite: conditions for its lines, and for their words."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

from mcpweb.logs import day_file
from mcpweb.logs.index_line import DAY_MS, day_ms
from mcpweb.logs.query import Plan, Term
from mcpweb.logs.search_text import normalise


class Fits(NamedTuple):
    """The end of a SELECT of lines: FROM and WHERE with its values, and which column has the key."""

    sql: str
    values: tuple[Any, ...]
    key: str


def where(plan: Plan, day: date, connection: sqlite3.Connection, low: int = 0, high: int | None = None) -> Fits:
    """What the plan means for a day, between two keys; the second is not included."""
    since, until = (day_file.start_key(day, at) for at in bounds(plan, day))
    low, high = max(low, since), until if high is None else min(high, until)
    wanted, unwanted = _words(plan, day_file.version(connection) == day_file.VERSION)
    key, source, values, more = "line.key", "FROM line WHERE", list[Any](), list[str]()
    if wanted:
        key, source = "words.rowid", "FROM words CROSS JOIN line ON line.key = words.rowid WHERE words MATCH ? AND"
        values.append(" AND ".join(wanted) + (f" NOT ({' OR '.join(unwanted)})" if unwanted else ""))
    conditions, some = columns(plan, "line.")
    if unwanted and not wanted:
        more, some = ["line.key NOT IN (SELECT rowid FROM words WHERE words MATCH ?)"], [*some, " OR ".join(unwanted)]
    conditions = [f"{key} >= ?", f"{key} < ?", *conditions, *more]
    return Fits(f"{source} {' AND '.join(conditions)}", (*values, low, high, *some), key)


def bounds(plan: Plan, day: date) -> tuple[int, int]:
    """From when until when lines of the day can fit; the second is not included."""
    start, end = day_ms(day), day_ms(day) + DAY_MS
    since = start if plan.since_ms is None else min(max(plan.since_ms, start), end)
    return since, end if plan.until_ms is None else min(max(plan.until_ms, start), end)


def columns(plan: Plan, table: str) -> tuple[list[str], list[str]]:
    """Conditions for the columns of a table, whose name with a dot stands before each, and their values."""
    conditions, values = list[str](), list[str]()
    for wish, operators in ((plan.equal, ("=", "IN")), (plan.unequal, ("<>", "NOT IN"))):
        for name, some in wish.items():
            marks = "?" if len(some) == 1 else f"({', '.join('?' * len(some))})"
            conditions.append(f"{table}{name} {operators[len(some) != 1]} {marks}")
            values += some
    return conditions, values


def _words(plan: Plan, has_values: bool) -> tuple[list[str], list[str]]:
    """What the words of a line must be and must not be, so far as words can say it.

    FTS5 walks through the lines of several words at once, in the order of time. A word that must not be there needs
    others beside it, from whose lines its own are left out.
    """
    wanted, unwanted = [_phrase(term) for term in plan.wanted], [_phrase(term) for term in plan.unwanted]
    for name in day_file.VALUES if has_values else ():
        if (some := plan.equal.get(name)) and all(some):
            wanted.append(_values(name, some))
        if some := tuple(filter(None, plan.unequal.get(name, ()))):
            unwanted.append(_values(name, some))
    if wanted or unwanted:
        wanted += [_phrase(term) for name in ("instance", "request_id") for term in _same(plan.equal.get(name, ()))]
    if unwanted and not wanted and has_values:
        wanted = [f'"{day_file.EVERY}"']
    return wanted, unwanted


def _values(column: str, some: Sequence[str]) -> str:
    return "(" + " OR ".join([f'"{day_file.word_of(column, one)}"' for one in some]) + ")"


def _phrase(term: Term) -> str:
    """Words hold letters and digits only, so that quotes make a string of them that FTS5 can not misread."""
    return f'"{" ".join(term.words)}"{"*" if term.is_prefix else ""}'


def _same(values: Sequence[str]) -> list[Term]:
    words = tuple(normalise(values[0]).split()) if len(values) == 1 else ()
    return [Term(words)] if words else []
