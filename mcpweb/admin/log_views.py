"""The record of who looked at whose lines."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from mcpweb.logs import events
from mcpweb.logs.index import Cursor, Found
from mcpweb.logs.query import Query

_MOST_NAMED = 20
_MOST_FOLLOWED = 1000

_followed: OrderedDict[tuple[int, str], Cursor] = OrderedDict()
"""By who follows what: the newest line that this process has noted."""


def owner(fields: Mapping[str, Any]) -> str:
    """The id of the user whom a line is about, as the index has it; empty when it is about none."""
    return str(fields.get("user_id") or fields.get("user") or "")


def record(viewer_id: int, email: str, lines: Sequence[Found], query: Query, *, followed: str = "") -> None:
    """Note that somebody sees lines of others, once for all of them, with what was asked for.

    A page that follows new lines is fetched every few seconds; that is noted again when there is something new in it.
    `followed` is all that was asked for by such a page, its range included.
    """
    theirs = [line for line in lines if owner(line.fields) not in ("", str(viewer_id))]
    newest = max((line.cursor for line in theirs), default=None)
    if newest is None or (followed and not _is_new((viewer_id, followed), newest)):
        return
    others = sorted({owner(line.fields) for line in theirs})
    events.security("log of others viewed", actor=email, whose=others[:_MOST_NAMED], others=len(others), **told(query))


def _is_new(key: tuple[int, str], newest: Cursor) -> bool:
    if (noted := _followed.get(key)) is not None and newest <= noted:
        return False
    _followed[key] = newest
    if len(_followed) > _MOST_FOLLOWED:
        _followed.popitem(last=False)
    return True


def told(query: Query) -> dict[str, Any]:
    """A query as it is recorded."""
    return {
        "query": query.text,
        "columns": {name: list(values) for name, values in query.equal.items()},
        "columns_not": {name: list(values) for name, values in query.unequal.items()},
        "since": query.since.isoformat(timespec="seconds") if query.since else "",
        "until": query.until.isoformat(timespec="seconds") if query.until else "",
    }
