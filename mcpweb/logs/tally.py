"""The index's own counts: lines by five minutes, category, level and host, written in the transaction of the lines.

They are what a chart of very many lines is made of. Where a range does not begin or end with a span, lines are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from mcpweb.logs.index_line import IndexLine
from mcpweb.logs.query import COLUMNS, Plan

SPAN_MS = 300_000
TALLIED = COLUMNS[:3]
"""Category, level and host."""

Tally = Mapping[tuple[int, str, str, str], int]
"""Lines by span of the epoch, category, level and host."""


def tally(lines: Iterable[IndexLine]) -> Tally:
    """Count these lines."""
    return Counter((line.ts // SPAN_MS, line.columns[0], line.columns[1], line.columns[2]) for line in lines)


def answers(plan: Plan) -> bool:
    """Whether the counts know which lines fit, but for the time: nothing is asked that they do not tell apart."""
    return not (plan.wanted or plan.unwanted or (plan.equal.keys() | plan.unequal.keys()) - set(TALLIED))


def parts(plan: Plan, width_ms: int) -> Iterator[tuple[Plan, bool]]:
    """What has to be counted for bars of this width, in parts that have no line in common; True: the tally has it."""
    if not answers(plan) or width_ms % SPAN_MS:
        yield plan, False
        return
    low = None if plan.since_ms is None else -(-plan.since_ms // SPAN_MS) * SPAN_MS
    high = None if plan.until_ms is None else plan.until_ms // SPAN_MS * SPAN_MS
    if low is not None and high is not None and low >= high:
        yield plan, False
        return
    if low is not None and low != plan.since_ms:
        yield plan.until(low), False
    yield _between(plan, low, high), True
    if high is not None and high != plan.until_ms:
        yield plan.since(high), False


def in_spans(plan: Plan) -> Plan:
    """The plan of a part that the tally has, with numbers of spans instead of milliseconds."""
    low, high = (None if at is None else at // SPAN_MS for at in (plan.since_ms, plan.until_ms))
    return replace(plan, since_ms=low, until_ms=high)


def _between(plan: Plan, low: int | None, high: int | None) -> Plan:
    plan = plan if low is None else plan.since(low)
    return plan if high is None else plan.until(high)
