"""What very many lines have in common, without looking at each of them: bars, counted or estimated by a sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from mcpweb.logs.index import Bar, LogIndex, Row, bars
from mcpweb.logs.index_line import EPOCH, IndexLine, moment, parse
from mcpweb.logs.query import COLUMNS, Plan, Query, Term, read
from mcpweb.logs.tally import SPAN_MS, answers

MOST_COUNTED = 15_000
"""So many lines are counted one by one, if a guess says that there are not more."""
_SAMPLE = 2000
"""Lines that are looked at instead."""
_LOOKS = 4
"""Into each bar, evenly."""
_FEW = 20
"""Of so few lines of a level in a bar nothing can be said; those of all bars are taken together then."""
_MS = timedelta(milliseconds=1)


def counted(rows: Sequence[Row], width: timedelta) -> list[Bar]:
    """The bars of lines that are all at hand: rows of time and level."""
    width_ms = width // _MS
    return bars(Counter((ts // width_ms, level) for ts, level, *_ in rows), width_ms)


def histogram(index: LogIndex, query: Query, width: timedelta, newest: Sequence[Row]) -> tuple[list[Bar], bool]:
    """How many lines fit in each span of `width`, and whether that is an estimate.

    `newest` are rows of the newest lines that fit: they are counted anyway, and tell how frequent such lines are.
    """
    plan = read(query)
    if answers(plan) or width % (SPAN_MS * _MS):
        return index.histogram(query, width), False
    everything = index.histogram(Query(since=query.since, until=query.until), width)
    if _expected(everything, newest, width) <= MOST_COUNTED:
        return index.histogram(query, width), False
    return _estimate(index, plan, everything, width), True


def _expected(everything: Sequence[Bar], newest: Sequence[Row], width: timedelta) -> float:
    """How many lines will fit, if older ones are like the newest."""
    oldest, among, total = moment(newest[-1][0]), 0.0, 0
    for start, _, lines in everything:
        among += lines * min(max((start + width - oldest) / width, 0.0), 1.0)
        total += lines
    return total * len(newest) / max(among, len(newest))


def _estimate(index: LogIndex, plan: Plan, everything: Sequence[Bar], width: timedelta) -> list[Bar]:
    """What part of the sample fits, by bar and level, of what there is."""
    seen, fitting = Counter[tuple[datetime | None, str]](), Counter[tuple[datetime | None, str]]()
    for ts, category, raw in index.sample(_looks(plan, everything, width)):
        at = moment(ts)
        line = parse(raw.encode(), 0, category, at.date())
        if line is None:
            continue
        level, does_fit = line.columns[1], fits(plan, line)
        for start in (at - (at - EPOCH) % width, None):
            seen[start, level] += 1
            fitting[start, level] += does_fit
    found = []
    for start, level, lines in everything:
        place = (start, level) if seen[start, level] >= _FEW else (None, level)
        if count := round(lines * fitting[place] / max(seen[place], 1)):
            found.append((start, level, count))
    return found


def _looks(plan: Plan, everything: Sequence[Bar], width: timedelta) -> list[tuple[int, int]]:
    """Spans of milliseconds with about as many lines as the sample has."""
    share, spans = min(_SAMPLE / sum(lines for _, _, lines in everything), 1.0), list[tuple[int, int]]()
    for begin in sorted({start for start, _, _ in everything}):
        start, end = (at // _MS for at in (begin - EPOCH, begin - EPOCH + width))
        start, end = max(start, plan.since_ms or start), min(end, plan.until_ms or end)
        step = (end - start) / _LOOKS
        spans += [(int(start + number * step), int(start + (number + share) * step) + 1) for number in range(_LOOKS)]
    return spans


def fits(plan: Plan, line: IndexLine) -> bool:
    """Whether a line is what the plan wants, but for its time, as the databases would decide."""
    text = f" {' '.join(line.words.split())} "
    has = [line.columns[COLUMNS.index(name)] in some for name, some in plan.equal.items()]
    has_not = [line.columns[COLUMNS.index(name)] in some for name, some in plan.unequal.items()]
    return (
        all(has)
        and not any(has_not)
        and all(_has(text, term) for term in plan.wanted)
        and not any(_has(text, term) for term in plan.unwanted)
    )


def _has(text: str, term: Term) -> bool:
    return f" {' '.join(term.words)}{'' if term.is_prefix else ' '}" in text
