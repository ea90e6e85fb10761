"""What to try when nothing fits: which part of the search keeps out most, and a longer time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from mcpweb import clock
from mcpweb.admin.log_filter import LogFilter
from mcpweb.admin.log_pages import chips, total_words
from mcpweb.logs.index import LogIndex, TooBroad

_COUNTED = 10_000
_LONGEST_S = 1.0
"""For all of it: the page has taken its time already."""
_MOST_TRIED = 8
_DAY = timedelta(hours=24)


def ways(index: LogIndex, asked: LogFilter, now: datetime) -> dict[str, Any]:
    """Addresses to go on from: without the part that keeps out most, and of a longer time."""
    since, until = asked.span(now)
    wider, words = ("24h", "24 hours") if until - since < _DAY else ("30d", "30 days")
    return {
        "without": _without(index, asked, now),
        "wider": {"words": words, "args": asked.args(range=wider, since="", until="", follow="")},
    }


def _without(index: LogIndex, asked: LogFilter, now: datetime) -> dict[str, Any] | None:
    """The part without which most lines fit; None when that would not help either, or took too long."""
    end = clock.monotonic() + _LONGEST_S
    best: dict[str, Any] | None = None
    most = 0
    for (words, less), _ in zip(_parts(asked), range(_MOST_TRIED), strict=False):
        try:
            lines = index.within(max(end - clock.monotonic(), 0.01)).count(less.query(now), _COUNTED + 1)
        except TooBroad:
            break
        if lines > most:
            most = lines
            best = {"words": words, "args": less.args(follow=""), "lines": total_words(lines, _COUNTED)}
    return best


def _parts(asked: LogFilter) -> Iterator[tuple[str, LogFilter]]:
    """Everything that was asked for besides the time, each with the search without it."""
    if asked.text:
        yield f"“{asked.text}”", replace(asked, text="")
    for chip in chips(asked):
        yield f"“{chip['words']}”", asked.without(*chip["pair"])
