"""A line of a log file as the index takes it: parsed, with its columns, its words and its moment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson

from mcpweb.logs.query import COLUMNS, storable
from mcpweb.logs.search_text import of_line

MAX_LINE_BYTES = 1024 * 1024
"""Longer lines are left out; the program writes none of more than a tenth of it."""
MAX_VALUE_CHARS = 200
"""Of a column; the line itself is kept whole."""
MAX_COLUMNS_BYTES = 2400
"""Of all columns of a line; PostgreSQL refuses an entry of an index of more than 2,704 bytes, and with it the line."""
LEVELS = ("info", "warning", "error", "critical", "debug")
DAY_MS = 86_400_000

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_COPIED = COLUMNS[2:]  # after category and level
_USER, _INSTANCE = _COPIED.index("user_id"), _COPIED.index("instance")


@dataclass(frozen=True, slots=True)
class IndexLine:
    """One line; `offset` is of its first byte in the uncompressed file, `ts` in milliseconds of the epoch."""

    offset: int
    ts: int
    columns: tuple[str, ...]
    """The values of `query.COLUMNS`, empty where the line has none."""
    words: str
    raw: str
    fields: Mapping[str, Any]


def parse(raw: bytes, offset: int, category: str, day: date) -> IndexLine | None:
    """The line, or None when it is no JSON object with a time.

    A time that is not of the file's day is moved into it: a file's lines are found under its day.
    """
    fields = loads(raw)
    if fields is None:
        return None
    try:
        at = datetime.fromisoformat(fields["time"])
    except (KeyError, TypeError, ValueError):
        return None
    first = day_ms(day)
    ts = (at if at.tzinfo else at.replace(tzinfo=UTC)) - EPOCH
    level = fields.get("level")
    found = [_column(fields.get(name)) for name in _COPIED]
    found[_USER] = found[_USER] or _column(fields.get("user"))
    found[_INSTANCE] = _column(fields.get("instance_id")) or found[_INSTANCE]
    return IndexLine(
        offset=offset,
        ts=min(max(ts // _MS, first), first + DAY_MS - 1),
        columns=_bounded((category, level if level in LEVELS else "other", *found)),
        words=of_line(fields),
        raw=raw.decode("utf-8"),
        fields=fields,
    )


def day_ms(day: date) -> int:
    """When the day begins, in milliseconds of the epoch."""
    return (day.toordinal() - EPOCH.toordinal()) * DAY_MS


def moment(ts: int) -> datetime:
    """The time of so many milliseconds of the epoch."""
    return EPOCH + ts * _MS


def loads(raw: bytes | str) -> dict[str, Any] | None:
    """The JSON object of a line, or None when it is none."""
    try:
        found = orjson.loads(raw)
    except ValueError:
        try:  # knows halves of surrogate pairs and long numbers, which a hostile client can bring into a line
            found = json.loads(raw)
        except (ValueError, RecursionError):
            return None
    return found if isinstance(found, dict) else None


def _bounded(columns: tuple[str, ...]) -> tuple[str, ...]:
    if sum(map(len, columns)) * 4 <= MAX_COLUMNS_BYTES:
        return columns
    share = MAX_COLUMNS_BYTES // len(columns)
    return tuple(one.encode()[:share].decode(errors="ignore") for one in columns)


def _column(value: Any) -> str:
    if value is None:
        return ""
    if type(value) is str:
        return storable(value[:MAX_VALUE_CHARS])
    return "" if isinstance(value, dict | list) else str(value)[:MAX_VALUE_CHARS]
