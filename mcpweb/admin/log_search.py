"""One look at the logs: the lines first, then what can be counted in the time that is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from mcpweb import clock
from mcpweb.admin.log_filter import LogFilter
from mcpweb.logs import overview
from mcpweb.logs.index import BUDGET_S, Bar, Found, LogIndex, Row, TooBroad, ranked
from mcpweb.logs.index_line import moment
from mcpweb.logs.query import Query

T = TypeVar("T")

PAGE = 50
COUNTED = 2_000
"""Of more lines than these, the newest alone are counted by value, and the bars say how many there are."""
FACETS = ("category", "level", "host", "user_id", "instance", "service", "tool", "outcome")
FACET_VALUES = 12
_MOST_BARS = 60
_RESERVE_S = 0.4
"""Kept for making the page of it."""
_LEAST_S = 0.05
_WIDTHS = [
    *(timedelta(milliseconds=ms) for ms in (1, 10, 100, 500)),
    *(timedelta(seconds=s) for s in (1, 5, 15, 30)),
    *(timedelta(minutes=m) for m in (1, 5, 15, 30)),
    *(timedelta(hours=h) for h in (1, 3, 6, 12)),
    *(timedelta(days=d) for d in (1, 7, 30, 365, 36_500)),
]


@dataclass(slots=True)
class Seen:
    """What a look found. None is what there was no time for; `complaints` says so."""

    lines: list[Found] = field(default_factory=list)
    """Newest first, one more than a page when there are more."""
    total: int | None = None
    bars: list[Bar] | None = None
    width: timedelta = timedelta(hours=1)
    facets: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    facets_since: datetime | None = None
    """Of very many lines only the newest ones are counted by value: since when."""
    is_estimate: bool = False
    """Whether the bars are one, and with them the total."""
    is_too_broad: bool = False
    complaints: list[str] = field(default_factory=list)

    def page(self, backwards: bool) -> list[Found]:
        """The lines of one page; `backwards` when they were looked for from an older one on."""
        return self.lines[-PAGE:] if backwards else self.lines[:PAGE]


class _Clock:
    """Deals out what is left of the time that one page may take."""

    def __init__(self, index: LogIndex) -> None:
        self._index = index
        self._end = clock.monotonic() + BUDGET_S - _RESERVE_S

    def ask(self, question: Callable[[LogIndex], T]) -> T:
        """The answer of the index.

        Raises:
            TooBroad: there was no time for it.
        """
        left = self._end - clock.monotonic()
        if left < _LEAST_S:
            raise TooBroad
        return question(self._index.within(min(left, self._index.budget_s)))


def look(index: LogIndex, asked: LogFilter, now: datetime, *, with_facets: bool = True) -> Seen:
    """The lines that were asked for, how many there are, when they were written, and what they have in common."""
    seen, time, query = Seen(width=width(*asked.span(now))), _Clock(index), asked.query(now)
    seen.complaints += asked.complaints
    try:
        seen.lines = time.ask(lambda index: index.search(query, limit=PAGE + 1, before=asked.before, after=asked.after))
    except TooBroad as error:
        seen.is_too_broad = True
        seen.complaints.append(error.sentence)
        return seen
    try:
        _count(seen, time, query, asked, now, FACETS if with_facets else ())
    except TooBroad:
        seen.complaints.append("There was no time to count everything. Narrow the range to see all counts.")
    seen.complaints += [f"Left out, because it can not be read: {problem}" for problem in index.problems]
    return seen


def _count(seen: Seen, time: _Clock, query: Query, asked: LogFilter, now: datetime, columns: Sequence[str]) -> None:
    """The newest lines once for all columns; then the bars of all of them."""
    rows = time.ask(lambda index: index.newest(query, ("level", *columns), COUNTED + 1))
    seen.total = len(rows)
    _bars(seen, rows, time, query)
    if seen.bars and len(rows) > COUNTED:
        seen.total = sum(lines for _, _, lines in seen.bars)
    if columns:
        _facets(seen, rows, time, asked, now)


def _facets(seen: Seen, rows: list[Row], time: _Clock, asked: LogFilter, now: datetime) -> None:
    """Of a column with chosen values the others are counted too, so that one can choose them as well."""
    if len(rows) > COUNTED:
        rows = rows[:COUNTED]
        seen.facets_since = moment(rows[-1][0])
    columns = list(zip(*rows, strict=True)) or [()] * (len(FACETS) + 2)
    for name, column in zip(FACETS, columns[2:], strict=True):
        values = Counter(column)
        if name in asked.equal:
            query = asked.freed(name).query(now)
            more = time.ask(lambda index, name=name, query=query: index.newest(query, [name], COUNTED))  # type: ignore[misc]
            values = Counter(value for _, value in more)
        seen.facets[name] = ranked(values, FACET_VALUES)


def _bars(seen: Seen, rows: list[Row], time: _Clock, query: Query) -> None:
    if len(rows) <= COUNTED:
        seen.bars = overview.counted(rows, seen.width)
        return
    seen.bars, seen.is_estimate = time.ask(lambda index: overview.histogram(index, query, seen.width, rows))


def width(since: datetime, until: datetime) -> timedelta:
    """What one bar stands for, so that there are not too many of them."""
    return next((one for one in _WIDTHS if (until - since) / one <= _MOST_BARS), _WIDTHS[-1])
