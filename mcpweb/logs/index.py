"""The log index: what every kind of it can do, and which one an installation has."""

from __future__ import annotations

import copy
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple, Self

from mcpweb.errors import AppError
from mcpweb.logs.index_line import IndexLine, moment
from mcpweb.logs.query import Plan, Query, read
from mcpweb.logs.tally import parts

BUDGET_S = 5.0
"""What one search may take."""
OFFSET_BITS = 40
"""A line's id holds the file's id above its offset."""
MAX_ID = 2**63 - 1
_PAGE = 1000
_CURSOR = re.compile(r"([0-9]{1,15})\.([0-9]{1,19})")


Bar = tuple[datetime, str, int]
"""Start, level, and how many lines."""
Spans = Mapping[tuple[int, str], int]
"""Lines by number of the span, counted from the epoch, and level."""
Row = tuple[Any, ...]
"""When a line was written, in milliseconds of the epoch, and values of its columns."""


class TooBroad(AppError):
    """A search took longer than it may."""

    def __init__(self) -> None:
        super().__init__(f"The search took longer than {BUDGET_S:g} seconds. Narrow the range or add a filter.")


class Cursor(NamedTuple):
    """The place of a line in the order of all: by time, and within a millisecond by id."""

    ts: int
    id: int

    def __str__(self) -> str:
        """As it stands in an address."""
        return f"{self.ts}.{self.id}"

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        """The cursor that an address names; None for anything else."""
        parts = _CURSOR.fullmatch(text)
        return cls(int(parts[1]), min(int(parts[2]), MAX_ID)) if parts else None


@dataclass(frozen=True, slots=True)
class Found:
    """A line that fits. `id` stays the same, also when the index is rebuilt."""

    id: int
    ts: int
    fields: dict[str, Any]

    @property
    def at(self) -> datetime:
        """When it was written."""
        return moment(self.ts)

    @property
    def cursor(self) -> Cursor:
        """Its place, to go on from."""
        return Cursor(self.ts, self.id)


def bars(totals: Spans, width_ms: int) -> list[Bar]:
    """The counts by number of the span and level, in order."""
    return [(moment(number * width_ms), level, lines) for (number, level), lines in sorted(totals.items())]


def ranked(totals: Mapping[str, int], most: int) -> list[tuple[str, int]]:
    """The most frequent values first; the empty one left out."""
    return sorted(((value, lines) for value, lines in totals.items() if value), key=lambda item: (-item[1], item[0]))[
        :most
    ]


class LogIndex(ABC):
    """All lines of the system logs, by day. May be used by several threads.

    Everything that reads raises TooBroad after `budget_s`, and Unavailable when a database does not answer. A part
    that can not be read is left out; `problems` says so.
    """

    budget_s: float = BUDGET_S

    def within(self, budget_s: float) -> Self:
        """The same index with so much time for each of what is asked of it; the others are not affected."""
        limited = copy.copy(self)
        limited.budget_s = budget_s
        return limited

    @abstractmethod
    def append(self, file_id: int, day: date, lines: Sequence[IndexLine]) -> int:
        """Add lines of one file, in order, except those up to the last one that is there already; returns how many."""

    @abstractmethod
    def search(
        self, query: Query, *, limit: int, before: Cursor | None = None, after: Cursor | None = None
    ) -> list[Found]:
        """The newest lines that fit, newest first: all in all, older than `before`, or the next ones after `after`."""

    @abstractmethod
    def count(self, query: Query, most: int) -> int:
        """How many lines fit; `most` when there are more."""

    @abstractmethod
    def facets(self, query: Query, columns: Sequence[str], most: int) -> dict[str, list[tuple[str, int]]]:
        """The most frequent values of the columns in the lines that fit, with their counts; empty ones left out."""

    def histogram(self, query: Query, bucket: timedelta) -> list[Bar]:
        """How many lines fit, in spans of `bucket` that begin at the epoch; spans without a line are left out."""
        width_ms, totals = bucket // timedelta(milliseconds=1), Counter[tuple[int, str]]()
        for part, is_tallied in parts(read(query), width_ms):
            totals.update(self._tallied(part, width_ms) if is_tallied else self._counted(part, width_ms))
        return bars(totals, width_ms)

    @abstractmethod
    def newest(self, query: Query, columns: Sequence[str], most: int) -> list[Row]:
        """Time and columns of the newest lines that fit, newest first."""

    @abstractmethod
    def sample(self, spans: Sequence[tuple[int, int]]) -> list[tuple[int, str, str]]:
        """Time, category and text of all lines of these spans, which are in order; of each the end is not included."""

    @abstractmethod
    def _counted(self, plan: Plan, width_ms: int) -> Spans:
        """Count the lines that fit one by one."""

    @abstractmethod
    def _tallied(self, plan: Plan, width_ms: int) -> Spans:
        """Sum up tallies; the plan begins and ends with their spans, and asks for nothing that they do not hold."""

    @abstractmethod
    def find(self, line_id: int) -> Found | None:
        """The line of this id."""

    @abstractmethod
    def days(self) -> list[date]:
        """The days that it has, newest first."""

    @abstractmethod
    def clear(self, day: date, file_ids: Sequence[int]) -> None:
        """Take the lines of these files out. An index in files belongs to one host and gives up the whole day."""

    @abstractmethod
    def drop_day(self, day: date) -> None:
        """Forget a day."""

    @property
    def problems(self) -> list[str]:
        """A sentence for each part that could not be read the last time."""
        return []

    def stream(self, query: Query, newest_first: bool = True) -> Iterator[Found]:
        """All lines that fit, however many, in pages: nothing is held open between them."""
        cursor: Cursor | None = None if newest_first else Cursor(-1, -1)
        while True:
            page = self.search(query, limit=_PAGE, **{"before" if newest_first else "after": cursor})
            yield from page if newest_first else reversed(page)
            if len(page) < _PAGE:
                return
            cursor = page[-1 if newest_first else 0].cursor

    def context(self, line_id: int, before: int, after: int) -> list[Found]:
        """A line between its neighbours on the same host, oldest first; empty when there is no such line."""
        line = self.find(line_id)
        if line is None:
            return []
        host = Query(equal={"host": (str(line.fields.get("host") or ""),)})
        older = self.search(host, limit=before, before=line.cursor)
        newer = self.search(host, limit=after, after=line.cursor)
        return [*reversed(older), line, *reversed(newer)]
