"""A log line as the administrator's pages show it: a row, and folded in it everything that is known."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from mcpweb.admin.log_columns import ALWAYS
from mcpweb.admin.log_filter import LogFilter
from mcpweb.admin.log_marks import Piece, marked
from mcpweb.admin.log_names import Names
from mcpweb.admin.log_traces import folded
from mcpweb.admin.log_views import owner
from mcpweb.logs.index import Found
from mcpweb.logs.index_line import LEVELS, MAX_VALUE_CHARS
from mcpweb.logs.query import COLUMNS, Term, storable

_COLUMN = {"user": "user_id", "instance_id": "instance"}
"""Fields that are found by a column of another name."""
_NO_KEY = ALWAYS | frozenset(
    ("host", "request_id", "user", "user_id", "instance", "instance_id", "agent", "ip", "chain", "traceback")
)
"""Shown by what unfolds only: long, or said otherwise in the row."""
_MOST_KEYS, _KEY_CHARS, _LONG = 6, 60, 60
_PLAIN = (str, int, float)
_NEARBY = timedelta(hours=1)
_SURROGATE = re.compile("[\ud800-\udfff]")


def row(line: Found, asked: LogFilter, wanted: Sequence[Term], names: Names) -> dict[str, Any]:
    """What a template needs for one line."""
    fields, level = line.fields, str(line.fields.get("level"))
    person, instance = owner(fields), str(fields.get("instance_id") or fields.get("instance") or "")
    return {
        "id": line.id,
        "cursor": str(line.cursor),
        "at": line.at,
        "level": level if level in LEVELS else "other",
        "category": plain(fields.get("category")),
        "message": marked(plain(fields.get("message")), wanted),
        "user": names.of("user_id", person) if person else "",
        "instance": names.of("instance", instance) if instance else "",
        "keys": [(name, marked(value, wanted)) for name, value in _keys(fields, asked.show)],
        "fields": [_field(name, value, asked, wanted) for name, value in fields.items() if name != "traceback"],
        "traceback": plain(fields.get("traceback")),
        "trace": folded(plain(fields.get("traceback"))),
        "raw": plain(fields),
        "request": _nearby(line.at, "request_id", fields.get("request_id")),
        "of_instance": _nearby(line.at, "instance", instance),
    }


def plain(value: Any) -> str:
    """A value as a text that can be shown: halves of surrogate pairs, which no page can hold, are replaced."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def _keys(fields: Mapping[str, Any], show: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The values that were chosen, or else those that tell one line from the next."""
    names = show or [name for name, value in fields.items() if name not in _NO_KEY and isinstance(value, _PLAIN)]
    some = ((name, fields[name]) for name in names if fields.get(name) not in (None, ""))
    for name, value in some if show else islice(some, _MOST_KEYS):
        text = plain(value).partition("\n")[0]
        yield plain(name), text if len(text) <= _KEY_CHARS else text[:_KEY_CHARS] + "…"


def _field(name: str, value: Any, asked: LogFilter, wanted: Sequence[Term]) -> dict[str, Any]:
    text = plain(value)
    pieces: list[Piece] = marked(text, wanted)
    shown: dict[str, Any] = {"name": plain(name), "text": text, "pieces": pieces, "is_long": len(text) > _LONG}
    column = _COLUMN.get(name, name)
    if column in COLUMNS and text and not isinstance(value, dict | list):
        chosen = storable(text[:MAX_VALUE_CHARS])
        shown |= {"only": asked.only(column, chosen).args(), "never": asked.never(column, chosen).args()}
    elif name not in ("time", "duration_ms", "upstream_ms") and isinstance(value, str | int) and len(text) <= _LONG:
        phrase = f'"{text.replace(chr(34), " ")}"'
        shown |= {"only": asked.saying(phrase).args(), "never": asked.saying(f"-{phrase}").args()}
    return shown


def _nearby(at: datetime, column: str, value: Any) -> dict[str, Any] | None:
    """The address of what belongs together around a line; None when there is nothing to go by."""
    if not value:
        return None
    span = LogFilter().between(at.replace(microsecond=0) - _NEARBY, at.replace(microsecond=0) + _NEARBY)
    return replace(span, equal={column: (str(value)[:MAX_VALUE_CHARS],)}).args()
