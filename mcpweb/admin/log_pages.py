"""What the pages of the log viewer show: lines, counts and filters turned into what the templates expect."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from mcpweb.admin import log_columns, log_lines, log_marks
from mcpweb.admin.log_chart import chart
from mcpweb.admin.log_filter import RANGES, LogFilter, stamp
from mcpweb.admin.log_hints import hints
from mcpweb.admin.log_names import Names, names
from mcpweb.admin.log_search import COUNTED, FACET_VALUES, PAGE, Seen
from mcpweb.admin.log_searches import address_of
from mcpweb.admin.log_views import owner
from mcpweb.logs.index import Found
from mcpweb.logs.query import Query

COLUMN_WORDS = {
    "category": "Category",
    "level": "Level",
    "host": "Host",
    "user_id": "User",
    "instance": "Instance",
    "service": "Service",
    "tool": "Tool",
    "outcome": "Outcome",
    "request_id": "Request",
}


def listing(asked: LogFilter, seen: Seen, now: datetime) -> dict[str, Any]:
    """One page of lines, and where the next ones are."""
    more, backwards = len(seen.lines) > PAGE, asked.after is not None
    shown = seen.page(backwards)
    newer = asked.before is not None or (backwards and more)
    older = backwards or more
    known = _names(asked, seen, shown)
    wanted = log_marks.terms(asked.query(now))
    return {
        "asked": asked,
        "seen": seen,
        "lines": [log_lines.row(line, asked, wanted, known) for line in shown],
        "newer": asked.args(after=str(shown[0].cursor), follow="") if newer and shown else None,
        "older": asked.args(before=str(shown[-1].cursor), follow="") if older and shown else None,
        "newest": asked.args() if asked.before or asked.after else None,
        "offered": [log_lines.plain(name) for name in log_columns.offered((one.fields for one in shown), asked.show)],
        "total": _total(seen),
        "chart": chart(seen.bars, seen.width, asked, now) if seen.bars else None,
        "facets": _facets(asked, seen, known),
        "chips": chips(asked, known),
        "hints": hints(asked.text),
        "address": address_of(asked),
        "ranges": {name: words for name, (words, _) in RANGES.items()},
        "times": {"since": _input(asked.since), "until": _input(asked.until)},
        "fixed": asked.fixed(now).args(follow=""),
        "column_words": COLUMN_WORDS,
    }


def followed(asked: LogFilter, lines: Sequence[Found], now: datetime) -> list[dict[str, Any]]:
    """The rows of lines that came while somebody follows them."""
    known, wanted = _names(asked, Seen(), lines), log_marks.terms(asked.query(now))
    return [log_lines.row(line, asked, wanted, known) for line in lines]


def around(lines: Sequence[Found], line_id: int) -> dict[str, Any]:
    """A line between its neighbours."""
    line = next(line for line in lines if line.id == line_id)
    asked, known = LogFilter(), _names(LogFilter(), Seen(), lines)
    return {
        "line": log_lines.row(line, asked, (), known),
        "lines": [log_lines.row(one, asked, (), known) for one in lines],
        "host": log_lines.plain(line.fields.get("host")),
    }


def query_of(line_id: int) -> Query:
    """What was looked for by who looks at one line."""
    return Query(text=f"line {line_id}")


def _total(seen: Seen) -> str:
    if seen.is_estimate and seen.total:
        return f"About {float(f'{seen.total:.2g}'):,.0f} lines"
    return total_words(seen.total, COUNTED if seen.bars is None else seen.total or 0)


def total_words(total: int | None, counted: int) -> str:
    """How many lines, of which no more than `counted` are counted one by one."""
    if total is None:
        return "An unknown number of lines"
    if total > counted:
        return f"More than {counted:,} lines"
    return f"{total:,} line{'' if total == 1 else 's'}"


def _names(asked: LogFilter, seen: Seen, lines: Sequence[Found]) -> Names:
    users = {owner(line.fields) for line in lines}
    instances = {str(line.fields.get("instance_id") or line.fields.get("instance") or "") for line in lines}
    for column, found in (("user_id", users), ("instance", instances)):
        found |= {value for value, _ in seen.facets.get(column, ())}
        found |= {*asked.equal.get(column, ()), *asked.unequal.get(column, ())}
    return names(users, instances)


def _facets(asked: LogFilter, seen: Seen, known: Names) -> list[dict[str, Any]]:
    """A column with one value alone says nothing, unless it was asked for."""
    shown = []
    for column, counts in seen.facets.items():
        chosen = asked.equal.get(column, ())
        missing = [(value, 0) for value in chosen if value not in dict(counts)]
        values = [_value(asked, column, value, lines, known) for value, lines in [*counts, *missing]]
        if values:
            facet = {"column": column, "word": COLUMN_WORDS[column], "values": values, "is_chosen": bool(chosen)}
            more = asked.args(more=column) if len(counts) == FACET_VALUES else None
            shown.append({**facet, "more": more, "is_long": len(values) > FACET_VALUES})
    return shown


def _value(asked: LogFilter, column: str, value: str, lines: int, known: Names) -> dict[str, Any]:
    is_on = asked.has(column, value)
    return {
        "name": log_lines.plain(known.of(column, value)),
        "lines": lines,
        "is_on": is_on,
        "toggle": (asked.without(column, value) if is_on else asked.also(column, value)).args(),
        "only": asked.only(column, value).args(),
        "never": asked.never(column, value).args(),
    }


def chips(asked: LogFilter, known: Names | None = None) -> list[dict[str, Any]]:
    """The filters that are on, each with the address without it."""
    found = []
    known = known or _names(asked, Seen(), ())
    for words, values in (("", asked.equal), ("not ", asked.unequal)):
        for column, some in values.items():
            for value in some:
                name = f"{COLUMN_WORDS[column]}: {words}{log_lines.plain(known.of(column, value))}"
                args = asked.without(column, value).args()
                found.append({"words": name, "args": args, "pair": (column, value)})
    return found


def _input(at: datetime | None) -> str:
    """As a field for a local time takes it."""
    return stamp(at).removesuffix("Z")
