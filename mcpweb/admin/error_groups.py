"""What went wrong within a day, grouped by what the lines say and where they come from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from mcpweb.errors import AppError
from mcpweb.logs.index import Found, LogIndex
from mcpweb.logs.query import Query

_LEVELS = ("error", "critical")
_LINES = 500
"""So many of the newest lines with an error are grouped."""
_SHOWN = 10
_PLACES = ("logger", "job", "tool", "route", "path")
"""The fields of a line that say where it comes from; all that it has count. Without any, its category is named."""
_NUMBER = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+")
"""What of a path is about one object."""


def recent(index: LogIndex, now: datetime) -> dict[str, Any]:
    """The newest errors of a day; `errors` is None when the index does not answer, and `errors_note` says so."""
    query = Query(since=now - timedelta(hours=24), equal={"level": _LEVELS})
    try:
        lines = index.search(query, limit=_LINES)
    except AppError as error:
        return {"errors": None, "errors_note": error.sentence}
    note = f"Of the newest {_LINES} lines." if len(lines) == _LINES else ""
    return {"errors": _grouped(lines)[:_SHOWN], "errors_note": note}


def _grouped(lines: Sequence[Found]) -> list[dict[str, Any]]:
    """Newest first, as the lines are."""
    groups: dict[tuple[str, ...], dict[str, Any]] = {}
    for line in lines:
        message = str(line.fields.get("message") or "No message")
        place = _place(line.fields)
        new = {"message": message, "place": place, "category": line.fields.get("category", ""), "count": 0}
        group = groups.setdefault((message, *place), new | {"last_at": line.at})
        group["count"] += 1
        group["first_at"] = line.at
    for group in groups.values():
        group["search"] = " ".join(_quoted(words.partition("…")[0]) for words in (group["message"], *group["place"]))
        group["place"] = ", ".join(_short(words) for words in group["place"]) or group["category"]
    return list(groups.values())


def _place(fields: Mapping[str, Any]) -> tuple[str, ...]:
    said = {name: str(fields[name])[:120] for name in _PLACES if fields.get(name)}
    if "path" in said:
        said["path"] = _NUMBER.sub("…", said["path"])
    return tuple(said.values())


def _short(place: str) -> str:
    """Our own modules without the package's name."""
    return place.removeprefix("mcpweb.")


def _quoted(words: str) -> str:
    return '"' + words.replace('"', " ") + '"'
