"""One look at the logs: the lines first, then what can be counted in the time that is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from mcpweb import clock
from mcpweb.admin.log_filter import LogFilter
from mcpweb.logs.index import BUDGET_S, Bar, Found, LogIndex, TooBroad

T = TypeVar("T")

PAGE = 50
COUNTED = 10_000
"""More lines than this are not counted one by one."""
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
        seen.total = time.ask(lambda index: index.count(query, COUNTED + 1))
        seen.bars = time.ask(lambda index: index.histogram(query, seen.width))
        if with_facets:
            seen.facets_since = _newest(seen.bars) if seen.total > COUNTED else None
            _facets(seen, time, asked, now)
    except TooBroad:
        seen.complaints.append("There was no time to count everything. Narrow the range to see all counts.")
    seen.complaints += [f"Left out, because it can not be read: {problem}" for problem in index.problems]
    return seen


def _facets(seen: Seen, time: _Clock, asked: LogFilter, now: datetime) -> None:
    """Of a column with chosen values the others are counted too, so that one can choose them as well."""
    for name in FACETS:
        query = asked.freed(name).query(now)
        query = replace(query, since=max(filter(None, (seen.facets_since, query.since)), default=None))
        found = time.ask(lambda index, name=name, query=query: index.facets(query, [name], FACET_VALUES))  # type: ignore[misc]
        seen.facets[name] = found[name]


def _newest(bars: list[Bar]) -> datetime | None:
    """Since when there are about as many lines as are counted."""
    lines = 0
    for start, _, some in reversed(bars):
        lines += some
        if lines >= COUNTED:
            return start
    return None


def width(since: datetime, until: datetime) -> timedelta:
    """What one bar stands for, so that there are not too many of them."""
    return next((one for one in _WIDTHS if (until - since) / one <= _MOST_BARS), _WIDTHS[-1])
