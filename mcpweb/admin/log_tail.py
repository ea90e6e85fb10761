"""The newest lines for a page that follows the log: all that came since its last look, or as many as one can read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mcpweb.admin.log_filter import LogFilter
from mcpweb.admin.log_pages import total_words
from mcpweb.logs.index import Cursor, Found, LogIndex
from mcpweb.logs.index_line import moment

MOST = 100
"""Lines of one look; of a burst the newest."""
_COUNTED = 10_000
_LATE = timedelta(seconds=10)
"""Lines of other hosts and files may come into the index so much later than newer ones. They are sent again with each
look, and the page leaves out those that it has."""


@dataclass(frozen=True, slots=True)
class Tail:
    """Newest first. `skipped` says in words how many lines of a burst are left out, and is empty otherwise."""

    lines: list[Found]
    skipped: str = ""

    @property
    def gap(self) -> Cursor | None:
        """The place where lines are left out."""
        last = self.lines[-1].cursor if self.skipped else None
        return Cursor(last.ts, max(last.id - 1, 0)) if last else None


def look(index: LogIndex, asked: LogFilter, after: Cursor | None, now: datetime) -> Tail:
    """What fits and is newer than `after`, with the lines shortly before it.

    Raises:
        TooBroad: it took too long.
    """
    query = asked.query(now)
    if after is None:
        return Tail(index.search(query, limit=MOST))
    since = moment(min(after.ts, int(now.timestamp() * 1000) + 86_400_000))
    query = replace(query, since=max(since - _LATE, query.since or since - _LATE))
    found = index.search(query, limit=MOST + 1)
    if len(found) <= MOST or found[MOST].cursor <= after:
        return Tail(found[:MOST])
    newer = index.count(replace(query, since=max(since, query.since or since)), _COUNTED + 1)
    left = newer if newer > _COUNTED else newer - MOST
    return Tail(found[:MOST], total_words(left, _COUNTED)) if left > 0 else Tail(found[:MOST])
