"""The record of who looked at whose lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mcpweb.logs import events
from mcpweb.logs.query import Query

_MOST_NAMED = 20


def owner(fields: Mapping[str, Any]) -> str:
    """The id of the user whom a line is about, as the index has it; empty when it is about none."""
    return str(fields.get("user_id") or fields.get("user") or "")


def record(viewer_id: int, email: str, lines: Iterable[Mapping[str, Any]], query: Query) -> None:
    """Note that somebody sees lines of others, once for all of them, with what was asked for."""
    others = sorted({owner(fields) for fields in lines} - {"", str(viewer_id)})
    if others:
        events.security(
            "log of others viewed", actor=email, whose=others[:_MOST_NAMED], others=len(others), **told(query)
        )


def told(query: Query) -> dict[str, Any]:
    """A query as it is recorded."""
    return {
        "query": query.text,
        "columns": {name: list(values) for name, values in query.equal.items()},
        "columns_not": {name: list(values) for name, values in query.unequal.items()},
        "since": query.since.isoformat(timespec="seconds") if query.since else "",
        "until": query.until.isoformat(timespec="seconds") if query.until else "",
    }
