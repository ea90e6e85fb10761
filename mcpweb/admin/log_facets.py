"""The values of one column of the log, all that one can go through, for whoever looks for a rare one."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from mcpweb.admin.log_filter import LogFilter
from mcpweb.admin.log_search import Seen
from mcpweb.logs.index import LogIndex, TooBroad

MOST = 200


def add_more(seen: Seen, index: LogIndex, asked: LogFilter, now: datetime) -> None:
    """Put more values of the column that was asked for into what was seen."""
    if not asked.more or asked.more not in seen.facets:
        return
    query = asked.freed(asked.more).query(now)
    query = replace(query, since=max(filter(None, (seen.facets_since, query.since)), default=None))
    try:
        seen.facets |= index.within(1.0).facets(query, [asked.more], MOST)
    except TooBroad:
        seen.complaints.append("There was no time to list more values. Narrow the range.")
